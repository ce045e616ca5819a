// Adapter for Go's os.Process.  Which design it is depends on the version of Go: raw pids before
// 1.23, the 64-bit word in 1.23 and 1.24, a state and a separate reference count from 1.25 on.
// Source: https://pkg.go.dev/os#Process
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

type asked struct {
	Type, Op, Process string
	ID, PID, Signal   int
	Argv              []string
}

type answer map[string]any

// foreign is a signal of another kind of system.
type foreign struct{}

func (foreign) Signal()        {}
func (foreign) String() string { return "foreign" }

var (
	guard     sync.Mutex // of processes
	processes = map[string]*os.Process{}
	writing   sync.Mutex
	null, _   = os.OpenFile(os.DevNull, os.O_RDWR, 0)
)

// say writes one line whole.
func say(message answer) {
	line, _ := json.Marshal(message)
	writing.Lock()
	defer writing.Unlock()
	os.Stdout.Write(append(line, '\n'))
}

func keep(name string, process *os.Process, err error) answer {
	if err != nil {
		return outcome(err)
	}
	guard.Lock()
	defer guard.Unlock()
	processes[name] = process
	return answer{"outcome": "nil", "pid": process.Pid}
}

// outcome names an error as the protocol does.
func outcome(err error) answer {
	if err == nil {
		return answer{"outcome": "nil"}
	}
	kind := "other"
	var call *os.SyscallError
	var errno syscall.Errno
	switch said := err.Error(); {
	case errors.Is(err, os.ErrProcessDone):
		kind = "EPD"
	case strings.HasSuffix(said, "process already released"):
		kind = "REL"
	case strings.HasSuffix(said, "process not initialized"):
		kind = "UNINIT"
	case strings.HasSuffix(said, "unsupported signal type"):
		kind = "UNSUP"
	case errors.As(err, &call) && errors.As(call.Err, &errno):
		kind = call.Syscall + ":" + name(errno)
	case errors.As(err, &errno):
		kind = name(errno)
	}
	return answer{"outcome": kind, "native": err.Error()}
}

func name(errno syscall.Errno) string {
	names := map[syscall.Errno]string{
		syscall.EPERM: "EPERM", syscall.ENOENT: "ENOENT", syscall.ESRCH: "ESRCH",
		syscall.EBADF: "EBADF", syscall.ECHILD: "ECHILD", syscall.EINVAL: "EINVAL",
		syscall.EMFILE: "EMFILE", syscall.ENOSYS: "ENOSYS", syscall.EAGAIN: "EAGAIN",
	}
	if known, ok := names[errno]; ok {
		return known
	}
	return fmt.Sprintf("E%d", int(errno))
}

func perform(a asked) (result answer) {
	defer func() {
		if said := recover(); said != nil {
			result = answer{"outcome": "panic:" + fmt.Sprint(said)}
		}
	}()
	guard.Lock()
	process := processes[a.Process]
	guard.Unlock()
	switch a.Op {
	case "start":
		path, err := exec.LookPath(a.Argv[0])
		if err != nil {
			return outcome(err)
		}
		files := []*os.File{null, null, os.Stderr}
		process, err := os.StartProcess(path, a.Argv, &os.ProcAttr{Files: files})
		return keep(a.Process, process, err)
	case "find":
		process, err := os.FindProcess(a.PID)
		return keep(a.Process, process, err)
	case "literal":
		return keep(a.Process, &os.Process{Pid: a.PID}, nil)
	case "wait":
		state, err := process.Wait()
		if err != nil {
			return outcome(err)
		}
		if status := state.Sys().(syscall.WaitStatus); status.Signaled() {
			return answer{"outcome": "ok", "exit_signal": int(status.Signal())}
		}
		return answer{"outcome": "ok", "exit_code": state.ExitCode()}
	case "signal":
		if a.Signal == -1 {
			return outcome(process.Signal(foreign{}))
		}
		return outcome(process.Signal(syscall.Signal(a.Signal)))
	case "kill":
		return outcome(process.Kill())
	case "release":
		return outcome(process.Release())
	case "reap":
		_, err := syscall.Wait4(process.Pid, nil, 0, nil)
		if err != nil {
			return outcome(err)
		}
		return answer{"outcome": "ok"}
	}
	guard.Lock()
	defer guard.Unlock()
	delete(processes, a.Process)
	return answer{"outcome": "nil"}
}

func serve(a asked) {
	runtime.LockOSThread() // so that the thread's number is the one that makes the calls
	say(answer{"type": "invoke", "id": a.ID, "tid": syscall.Gettid()})
	result := perform(a)
	result["type"], result["id"] = "return", a.ID
	say(result)
}

// specification returns the design that this version of Go promises, and whether by pidfds; the
// argument "pid" says that the kernel refuses them.
func specification() (string, bool) {
	minor, pidfds := 0, len(os.Args) < 2 || os.Args[1] != "pid"
	fmt.Sscanf(runtime.Version(), "go1.%d", &minor)
	design, platform := "go-2025", "linux"
	if minor < 25 {
		design = "go-2024"
	}
	if minor < 23 {
		design, pidfds = "go-2016", false
	}
	if !pidfds {
		platform = "linux-pid"
	}
	return design + "/" + platform, pidfds
}

func main() {
	able := []string{"start", "find", "literal", "wait", "signal", "foreign-signal", "kill",
		"release", "reap", "exit-status", "concurrent"}
	design, pidfds := specification()
	if pidfds {
		able = append(able, "pidfd")
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var a asked
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		switch a.Type {
		case "hello":
			say(answer{"type": "ready", "protocol_min": 1, "protocol_max": 1,
				"implementation": "go os.Process", "version": runtime.Version(),
				"system": runtime.GOOS, "pid": os.Getpid(), "specification": design,
				"capabilities": able})
		case "op":
			go serve(a)
		default:
			os.Exit(0)
		}
	}
}
