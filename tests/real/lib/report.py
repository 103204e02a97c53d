"""What a program proved, in plain sentences, and its end: in time, with a count, with an exit code."""

import signal
import sys
import time
import traceback


class NotTried(Exception):
    """What this machine lacks for a check."""


class Report:
    """`with Report(limit) as report: …` counts sentences that held, that did not, and that nobody could try."""

    def __init__(self, limit_seconds):
        self.passed = 0
        self.failed = 0
        self.untried = 0
        self.started = time.monotonic()
        sys.stdout.reconfigure(line_buffering=True)
        signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"not done within {limit_seconds} s"))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped by SIGTERM"))
        signal.alarm(limit_seconds)

    def proves(self, sentence, check, *arguments):
        """Runs `check`; what it returns, if anything, is told after the sentence."""
        try:
            figures = check(*arguments)
        except NotTried as why:
            self.leaves_out(sentence, why)
            return
        except Exception as error:  # whatever goes wrong, the other sentences are still tried
            self.failed += 1
            print(f"  FAILED: {sentence}: {error}")
            if not isinstance(error, AssertionError):
                traceback.print_exc(file=sys.stdout)
            return
        self.passed += 1
        print(f"  {sentence}" + (f" ({figures})" if figures else ""))

    def leaves_out(self, sentence, why):
        self.untried += 1
        print(f"  NOT TRIED: {sentence}: {why}")

    def tell(self, text):
        print(f"  {text}")

    def __enter__(self):
        return self

    def __exit__(self, _, error, __):
        """The closing line; ends the program, whatever happened."""
        signal.alarm(0)
        if error is not None:
            self.failed += 1
            print(f"  FAILED: {error}")
            if not isinstance(error, SystemExit):
                traceback.print_exception(error, file=sys.stdout)
        print(f"  took {time.monotonic() - self.started:.0f} s")
        print(f"{self.passed} passed, {self.failed} failed" + f", {self.untried} not tried" * bool(self.untried))
        sys.exit(1 if self.failed or not self.passed else 0)


def expect(condition, otherwise):
    """`otherwise` is what is wrong if `condition` is not true."""
    if not condition:
        raise AssertionError(otherwise)
