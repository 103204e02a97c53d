/* Runs a program whose clock is wrong: clock OFFSETS PROGRAM ARGUMENT...
 *
 * OFFSETS is a file with two numbers of seconds, which are added to what the program is told of the time of
 * day and of the time since the machine started; it is looked at anew each time, so that a clock can be
 * set while the program runs. CLOCK_MONOTONIC is left alone, which does not run in a machine that sleeps.
 * A static program can't be given another libc, so this traces it (ptrace(2)) and corrects the answers
 * of clock_gettime(2). For that it must ask the kernel: the vDSO, which answers by itself, is taken out of
 * the auxiliary vector (vdso(7), getauxval(3)). As with `strace -D` the program keeps its parent. */

#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GET_AUXV 0x41555856 /* PR_GET_AUXV of linux/prctl.h, since 6.4 */

static long peek(pid_t pid, unsigned long at) { return ptrace(PTRACE_PEEKDATA, pid, at, 0); }

/* At `at` begin pairs of a type and a value. */
static void hide_vdso(pid_t pid, unsigned long at, unsigned long end)
{
    for (; at < end && peek(pid, at) != AT_NULL; at += 16)
        if (peek(pid, at) == AT_SYSINFO_EHDR)
            ptrace(PTRACE_POKEDATA, pid, at, AT_IGNORE);
}

/* The stack of a new program: the count of arguments, them, NULL, the environment, NULL, the vector. */
static void started(pid_t pid)
{
    struct user_regs_struct regs;
    ptrace(PTRACE_GETREGS, pid, 0, &regs);
    unsigned long at = regs.rsp + 8 * (peek(pid, regs.rsp) + 2);
    while (peek(pid, at))
        at += 8;
    hide_vdso(pid, at + 8, -1UL);
}

static long offset(int file, int of_boot)
{
    char text[64] = "";
    long real = 0, boot = 0;
    if (pread(file, text, sizeof text - 1, 0) < 0 || sscanf(text, "%ld %ld", &real, &boot) != 2)
        return 0;
    return of_boot ? boot : real;
}

/* On the way into a call the kernel shows -ENOSYS as its result, on the way out the result. */
static void called(pid_t pid, int file)
{
    struct user_regs_struct regs;
    ptrace(PTRACE_GETREGS, pid, 0, &regs);
    if (regs.orig_rax == SYS_prctl && regs.rdi == GET_AUXV && (long)regs.rax > 0)
        hide_vdso(pid, regs.rsi, regs.rsi + regs.rdx);
    if (regs.orig_rax != SYS_clock_gettime || regs.rax != 0)
        return;
    if (regs.rdi == CLOCK_REALTIME || regs.rdi == CLOCK_REALTIME_COARSE || regs.rdi == CLOCK_BOOTTIME)
        ptrace(PTRACE_POKEDATA, pid, regs.rsi, peek(pid, regs.rsi) + offset(file, regs.rdi == CLOCK_BOOTTIME));
}

static void trace(pid_t program, int file, int ready)
{
    long wanted = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
    if (ptrace(PTRACE_SEIZE, program, 0, wanted) != 0) {
        perror("clock: ptrace");
        _exit(1);
    }
    if (write(ready, "", 1) != 1)
        _exit(1);
    close(ready);
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR;) {
        if (pid <= 0 || !WIFSTOPPED(status))
            continue;
        int event = status >> 16, signal = WSTOPSIG(status);
        if (event == PTRACE_EVENT_EXEC)
            started(pid);
        else if (signal == (SIGTRAP | 0x80))
            called(pid, file);
        ptrace(PTRACE_SYSCALL, pid, 0, event || signal == (SIGTRAP | 0x80) ? 0 : signal);
    }
    _exit(0);
}

int main(int count, char **words)
{
    int file, ready[2];
    if (count < 3 || (file = open(words[1], O_RDONLY | O_CLOEXEC)) < 0 || pipe(ready) != 0) {
        perror("clock OFFSETS PROGRAM ARGUMENT...");
        return 2;
    }
    pid_t program = getpid(), tracer = fork();
    if (tracer == 0) {
        close(ready[0]);
        trace(program, file, ready[1]);
    }
    close(ready[1]);
    char none;
    if (tracer < 0 || read(ready[0], &none, 1) != 1)
        return 1;
    close(ready[0]);
    execvp(words[2], words + 2);
    perror(words[2]);
    return 127;
}
