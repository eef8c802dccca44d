"""Runs a command of root under an unprivileged account: PostgreSQL refuses to run as root.

The account is `nobody`. It keeps one capability, CAP_DAC_OVERRIDE, so that it reaches a virtual environment or a
state directory below a home that is closed to others (`/root`, pytest's temporary directories) without any
directory being opened to everybody; SECBIT_NO_SETUID_FIXUP lets access(2), with which PostgreSQL looks for its
own binaries, see that capability too. See capabilities(7).

Used as `python unprivileged.py COMMAND ARGUMENT…`; the command replaces the Python process.
"""

import ctypes
import os
import pwd
import sys

ACCOUNT = "nobody"

_PR_SET_KEEPCAPS = 8
_PR_SET_SECUREBITS = 28
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def account() -> pwd.struct_passwd:
    """The unprivileged account.

    Raises:
        KeyError: this machine has no account of this name.
    """
    return pwd.getpwnam(ACCOUNT)


def _keep_search_capability(libc: ctypes.CDLL) -> None:
    """Drop every capability except CAP_DAC_OVERRIDE, which the executed command inherits.

    In a container without it no capability is kept: the command then reaches only files that are open to every user.
    """
    mask = 1 << _CAP_DAC_OVERRIDE
    header = _Header(version=_CAPABILITY_VERSION_3, pid=0)
    data = (_Data * 2)(_Data(effective=mask, permitted=mask, inheritable=mask), _Data())
    if libc.capset(ctypes.byref(header), data) == 0:
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def drop_privileges() -> None:
    """Switch to the unprivileged account for good."""
    entry = account()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    _keep_search_capability(libc)


def main() -> None:
    """Drop privileges and execute the command."""
    drop_privileges()
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - the command is our own, without a shell


if __name__ == "__main__":
    main()
