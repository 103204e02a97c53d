//! Allows only the system calls of a network daemon, by seccomp (`seccomp(2)`).
//!
//! It is an allow-list, so calls of newer kernels (`io_uring`, `mount_setattr`) are not allowed. Every other
//! call fails with `ENOSYS`, as on a kernel without it: libc and libraries then fall back to older calls,
//! which they don't on `EPERM`, and an unforeseen call does not kill the daemon in the middle of a
//! transcription. So there is no `execve`, no `ptrace`, no `mount`, no keys, no modules; no new processes,
//! only threads; memory is never made executable; sockets are Unix, IPv4 or IPv6, streams or datagrams.

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Calls that are allowed with any arguments.
const ALLOWED: &[c_long] = &[
    // Files. Landlock restricts the paths.
    libc::SYS_close,
    libc::SYS_faccessat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_linkat,
    libc::SYS_lseek,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_umask,
    libc::SYS_unlinkat,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_init1,
    // Sockets and polling.
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_listen,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_splice,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    // Memory and threads.
    libc::SYS_brk,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Time, random numbers, and identity.
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_nanosleep,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    // Reaps the command helper if it ends first.
    libc::SYS_wait4,
];

/// Older names of these calls, which musl uses on architectures that have them.
#[cfg(target_arch = "x86_64")]
const OLDER: &[c_long] = &[
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_chmod,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[c_long] = &[];

/// rustix uses this to read the auxiliary vector (Linux 6.4).
const PR_GET_AUXV: i32 = 0x4155_5856;

// asm-generic/ioctls.h; their type differs between C libraries.
const FIONBIO: i32 = 0x5421;
const FIONREAD: i32 = 0x541b;
const FIOCLEX: i32 = 0x5451;

/// Confines the calling thread and those it starts.
///
/// # Errors
/// What the kernel lacks and what follows from that: a warning, because the daemon works without.
pub(crate) fn confine() -> Result<(), String> {
    filter()
        .and_then(|filter| seccompiler::apply_filter(&filter))
        .map_err(|error| format!("no seccomp ({error}): the daemon can make every system call"))
}

fn filter() -> Result<BpfProgram, seccompiler::Error> {
    let mut rules: std::collections::BTreeMap<c_long, Vec<SeccompRule>> =
        ALLOWED.iter().chain(OLDER).map(|call| (*call, Vec::new())).collect();
    rules.extend(conditional()?);
    let absent = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let architecture = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, absent, SeccompAction::Allow, architecture)?;
    Ok(BpfProgram::try_from(filter)?)
}

/// Calls that are allowed with some arguments only.
fn conditional() -> Result<Vec<(c_long, Vec<SeccompRule>)>, seccompiler::Error> {
    let one = |index, op, value: i32| {
        SeccompCondition::new(index, SeccompCmpArgLen::Dword, op, value.cast_unsigned().into())
    };
    let is = |index, value| one(index, SeccompCmpOp::Eq, value);
    let has = |index, mask: i32, value| {
        one(index, SeccompCmpOp::MaskedEq(mask.cast_unsigned().into()), value)
    };
    let thread = libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND;
    let no_code = SeccompRule::new(vec![has(2, libc::PROT_EXEC, 0)?])?;
    let mut sockets = Vec::new();
    for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
            // The flags are in the bits above the type.
            sockets.push(SeccompRule::new(vec![is(0, family)?, has(1, 0xf, kind)?])?);
        }
    }
    let requests: Result<Vec<_>, _> = [FIONBIO, FIONREAD, FIOCLEX]
        .into_iter()
        .map(|request| SeccompRule::new(vec![is(1, request)?]))
        .collect();
    Ok(vec![
        (libc::SYS_socket, sockets),
        (libc::SYS_socketpair, vec![SeccompRule::new(vec![is(0, libc::AF_UNIX)?])?]),
        (libc::SYS_ioctl, requests?),
        // The flags of clone(2) are its first argument on every architecture we build for. clone3(2)
        // hides them in memory, where no filter can look.
        (libc::SYS_clone, vec![SeccompRule::new(vec![has(0, thread, thread)?])?]),
        (libc::SYS_mmap, vec![no_code.clone()]),
        (libc::SYS_mprotect, vec![no_code]),
        (
            libc::SYS_prctl,
            vec![
                SeccompRule::new(vec![is(0, libc::PR_SET_NAME)?])?,
                SeccompRule::new(vec![is(0, PR_GET_AUXV)?])?,
            ],
        ),
        // Reading limits; the third argument would be a new limit.
        (
            libc::SYS_prlimit64,
            vec![SeccompRule::new(vec![SeccompCondition::new(
                2,
                SeccompCmpArgLen::Qword,
                SeccompCmpOp::Eq,
                0,
            )?])?],
        ),
        // Only abort(3) sends a signal to its own thread.
        (libc::SYS_tkill, vec![SeccompRule::new(vec![is(1, libc::SIGABRT)?])?]),
    ])
}
