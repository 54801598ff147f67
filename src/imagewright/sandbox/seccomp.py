"""Which system calls a RUN may make.

Everything not named here fails with EPERM (or ENOSYS, where the runtime knows the call to be newer than the profile),
so that programs fall back as they do under the Docker engine's default profile, whose meaning this one has: a process
that holds the fourteen default capabilities can build software, and cannot reach mounts, namespaces, modules, keys,
clocks, BPF or other parts of the kernel that are not confined to its container.

One difference is meant: packet sockets (AF_PACKET) are refused beside AF_VSOCK. With NET_RAW they would put frames on
the wire below the routing table, which is what keeps link-local addresses out of reach of a RUN.

The same can be had in two parts, of which the large one need not be compiled for each container: `outer_rules` are what
a runtime and what it starts may do, and `inner_profile` takes from the container what only the runtime needs.
"""

from typing import Any

__all__ = ["inner_profile", "outer_rules", "profile_architectures", "seccomp_profile"]

_ALLOW = "SCMP_ACT_ALLOW"
_EPERM = 1
_ENOSYS = 38
# The flags of clone3 are behind a pointer that no filter can follow; libraries fall back to clone.
_NO_CLONE3 = {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS}
_NO_CLONE = {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM}

_FILES = """
    access chdir chmod chown chown32 chroot close close_range copy_file_range creat dup dup2 dup3 faccessat
    faccessat2 fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl
    fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64
    fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 getxattr ioctl lchown lchown32 lgetxattr link
    linkat listxattr llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 memfd_create mkdir mkdirat mknod
    mknodat newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink
    readlinkat readv removexattr rename renameat renameat2 rmdir sendfile sendfile64 setxattr splice stat stat64
    statfs statfs64 statx symlink symlinkat sync sync_file_range syncfs tee truncate truncate64 umask unlink
    unlinkat utime utimensat utimensat_time64 utimes vmsplice write writev cachestat name_to_handle_at
    inotify_add_watch inotify_init inotify_init1 inotify_rm_watch fanotify_mark
"""
_MEMORY = """
    brk madvise map_shadow_stack membarrier memfd_secret mincore mlock mlock2 mlockall mmap mmap2 mprotect mremap
    mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease remap_file_pages
"""
_PROCESSES = """
    capget capset execve execveat exit exit_group fork getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups
    getgroups32 getpgid getpgrp getpid getppid getpriority getresgid getresgid32 getresuid getresuid32 getrlimit
    get_robust_list getrusage getsid get_thread_area gettid getuid getuid32 ioprio_get ioprio_set kill
    landlock_add_rule landlock_create_ruleset landlock_restrict_self pidfd_getfd pidfd_open pidfd_send_signal prctl
    prlimit64 process_vm_readv process_vm_writev ptrace restart_syscall rseq rt_sigaction rt_sigpending
    rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
    rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min
    sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr
    sched_setparam sched_setscheduler sched_yield seccomp setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32
    setgroups setgroups32 setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32
    setreuid setreuid32 setrlimit set_robust_list setsid set_thread_area set_tid_address setuid setuid32 sigaltstack
    signal signalfd signalfd4 sigprocmask sigreturn sigaction sigpending sigsuspend sysinfo tgkill time times tkill
    ugetrlimit uname vfork wait4 waitid waitpid getcpu getrandom
"""
_WAITING = """
    alarm clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
    eventfd2 futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue getitimer gettimeofday io_cancel
    io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit nanosleep _newselect pause poll
    ppoll ppoll_time64 pselect6 pselect6_time64 select setitimer timer_create timer_delete timer_getoverrun
    timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64
    timerfd_settime timerfd_settime64 adjtimex clock_adjtime clock_adjtime64
"""
_TALKING = """
    accept accept4 bind connect getpeername getsockname getsockopt ipc listen mq_getsetattr mq_notify mq_open
    mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd
    pipe pipe2 recv recvfrom recvmmsg recvmmsg_time64 recvmsg semctl semget semop semtimedop semtimedop_time64 send
    sendmmsg sendmsg sendto setsockopt shmat shmctl shmdt shmget shutdown socketcall socketpair
"""
_OF_MACHINE = {
    "amd64": "arch_prctl modify_ldt",
    "arm64": "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
}
# No x32: nothing uses it, and each architecture adds about five milliseconds to every RUN.
_ARCHITECTURES = {
    "amd64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
    "arm64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
}

# What a runtime does in the processes that become the container, and the container must not.
_OF_RUNTIME = """
    add_key bpf fsconfig fsmount fsopen fspick keyctl mount mount_setattr move_mount open_tree pivot_root request_key
    setdomainname sethostname setns umount umount2 unshare
"""

# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET together: clone(2) may make none of them.
_NAMESPACE_FLAGS = 0x7E02_0000

# personality(2): Linux, short inode numbers off, 32-bit Linux, both, and "tell me which".
_PERSONALITIES = (0x0, 0x8, 0x2_0000, 0x2_0008, 0xFFFF_FFFF)

# Every address family but 17 (AF_PACKET) and 40 (AF_VSOCK), in the fewest conditions on one argument: each rule costs
# the runtime time while it compiles the filter. Masked pairs are (mask, value): 18-19, 20-23, 24-31, 32-39.
_FAMILIES_BELOW = 17
_FAMILIES_ABOVE = 40
_FAMILIES_BETWEEN = ((0xFFFF_FFFE, 18), (0xFFFF_FFFC, 20), (0xFFFF_FFF8, 24), (0xFFFF_FFF8, 32))


def seccomp_profile(architecture: str) -> dict[str, Any] | None:
    """Return the profile in the form of the runtime specification; None for an `architecture` it is not written for.

    https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp
    """
    if architecture not in _ARCHITECTURES:
        return None
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": _EPERM,
        "architectures": _ARCHITECTURES[architecture],
        "syscalls": [*_allowed(architecture), _NO_CLONE3, _allow("clone", _masked(0, _NAMESPACE_FLAGS, 0))],
    }


def outer_rules(architecture: str) -> list[dict[str, Any]]:
    """Return the rules of `seccomp_profile` that allow, and those that allow what only a runtime needs besides."""
    return [*_allowed(architecture), {"names": ["clone", "clone3", *_OF_RUNTIME.split()], "action": _ALLOW}]


def inner_profile(architecture: str) -> dict[str, Any]:
    """Return the profile that allows, of what `outer_rules` allow, what `seccomp_profile` allows."""
    flags = [1 << bit for bit in range(32) if _NAMESPACE_FLAGS >> bit & 1]
    return {
        "defaultAction": _ALLOW,
        "architectures": _ARCHITECTURES[architecture],
        "syscalls": [
            {"names": _OF_RUNTIME.split(), "action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM},
            _NO_CLONE3,
            *({**_NO_CLONE, "args": [_masked(0, flag, flag)]} for flag in flags),
        ],
    }


def profile_architectures(architecture: str) -> list[str]:
    """Return the names, as the runtime specification has them, of the machine's architectures; none if unknown."""
    return _ARCHITECTURES.get(architecture, [])


def _allowed(architecture: str) -> list[dict[str, Any]]:
    """Return the rules that allow what no runtime needs in another way."""
    names = " ".join((_FILES, _MEMORY, _PROCESSES, _WAITING, _TALKING, _OF_MACHINE[architecture])).split()
    return [
        {"names": names, "action": _ALLOW},
        *(_allow("personality", _compare(0, "SCMP_CMP_EQ", value)) for value in _PERSONALITIES),
        _allow("socket", _compare(0, "SCMP_CMP_LT", _FAMILIES_BELOW)),
        *(_allow("socket", _masked(0, mask, value)) for mask, value in _FAMILIES_BETWEEN),
        _allow("socket", _compare(0, "SCMP_CMP_GT", _FAMILIES_ABOVE)),
    ]


def _allow(name: str, argument: dict[str, Any]) -> dict[str, Any]:
    return {"names": [name], "action": _ALLOW, "args": [argument]}


def _compare(index: int, operator: str, value: int) -> dict[str, Any]:
    return {"index": index, "value": value, "op": operator}


def _masked(index: int, mask: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
