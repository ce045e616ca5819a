/* Adapter for the raw pidfd calls in C: a descriptor, taken out of its field and closed by release.
 *
 * What many programs do, and right as long as one thread does it all: a release between another
 * thread's look at the field and its call gives that call somebody else's number.
 * Source: pidfd_open(2), pidfd_send_signal(2), waitid(2).
 */
#include "adapter.h"

struct process {
    pid_t pid;
    _Atomic int pidfd;
};

static const char about[] =
    "\"implementation\":\"c pidfd\",\"version\":\"1\",\"capabilities\":[\"start\",\"find\",\"wait\","
    "\"signal\",\"kill\",\"release\",\"reap\",\"exit-status\",\"concurrent\",\"pidfd\"]";

static void make(struct asked *asked, pid_t pid, char *answer, size_t size) {
    int pidfd = pid > 0 ? syscall(SYS_pidfd_open, pid, 0) : -1;
    if (pidfd < 0) {
        int error = pid < 0 ? -pid : errno;
        if (error == ESRCH)
            snprintf(answer, size, "\"outcome\":\"EPD\",\"native\":\"ESRCH\"");
        else
            failed(answer, size, NULL, error);
        return;
    }
    struct process *process = malloc(sizeof *process);
    process->pid = pid;
    process->pidfd = pidfd;
    process_of(asked, process, 0);
    snprintf(answer, size, "\"outcome\":\"nil\",\"pid\":%d", pid);
}

static void perform(struct asked *asked, char *answer, size_t size) {
    const char *op = asked->op;
    snprintf(answer, size, "\"outcome\":\"nil\"");
    if (!strcmp(op, "start")) {
        make(asked, spawn(asked->argv), answer, size);
        return;
    }
    if (!strcmp(op, "find")) {
        make(asked, asked->pid, answer, size);
        return;
    }
    struct process *process = process_of(asked, NULL, !strcmp(op, "drop"));
    if (!process)
        return;
    if (!strcmp(op, "wait")) {
        siginfo_t info = {0};
        int result;
        do
            result = waitid(P_PIDFD, process->pidfd, &info, WEXITED);
        while (result < 0 && errno == EINTR);
        if (result < 0)
            failed(answer, size, "waitid", errno);
        else
            snprintf(answer, size, "\"outcome\":\"ok\",\"exit_%s\":%d",
                     info.si_code == CLD_EXITED ? "code" : "signal", info.si_status);
    } else if (!strcmp(op, "signal") || !strcmp(op, "kill")) {
        int number = !strcmp(op, "kill") ? SIGKILL : asked->signal;
        signalled(answer, size, syscall(SYS_pidfd_send_signal, process->pidfd, number, NULL, 0));
    } else if (!strcmp(op, "release") || !strcmp(op, "drop")) {
        int pidfd = __atomic_exchange_n((int *)&process->pidfd, -1, __ATOMIC_SEQ_CST);
        if (pidfd >= 0)
            close(pidfd);
    } else if (!strcmp(op, "reap")) {
        if (waitpid(process->pid, NULL, 0) < 0)
            failed(answer, size, "waitpid", errno);
        else
            snprintf(answer, size, "\"outcome\":\"ok\"");
    }
}
