// Command node is the first process of the test cluster's namespaces: it prepares them, starts
// the cluster's programs, starts one again that ends, and reaps what the programs leave behind.
//
// It runs as process 1 of a PID namespace, so when it ends, however it ends, the kernel ends
// every program and every container with it, and the mounts and network devices of its
// namespaces go too. That is the whole of stopping the cluster.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// restartAfter is long enough for what a program waits for to appear, and short for a person.
const restartAfter = time.Second

// plan is what the file named on the command line says.
type plan struct {
	// Setup are commands run one after the other before any program; one that fails ends all.
	Setup [][]string `json:"setup"`
	// Programs are kept running. The order is the order of the first start.
	Programs []program `json:"programs"`
	// Logs is the folder for a file per program.
	Logs string `json:"logs"`
}

type program struct {
	Name string   `json:"name"`
	Argv []string `json:"argv"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("usage: node PLAN.json")
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	var plan plan
	if err := json.Unmarshal(text, &plan); err != nil {
		return fmt.Errorf("%s: %w", os.Args[1], err)
	}
	// Whoever started us connects our network from outside and then says so. If it dies first,
	// we read its end and leave nothing behind.
	if line, _ := bufio.NewReader(os.Stdin).ReadString('\n'); line != "go\n" {
		return errors.New("whoever started this node went away before it was connected")
	}
	for _, argv := range plan.Setup {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%q: %w: %s", argv, err, out)
		}
	}
	s := &supervisor{logs: plan.Logs, running: map[int]program{}}
	for _, p := range plan.Programs {
		if err := s.start(p); err != nil {
			return err
		}
	}
	go s.reap()

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	return nil
}

// supervisor knows the programs that run, by process id.
type supervisor struct {
	logs    string
	mu      sync.Mutex
	running map[int]program
}

// start holds the lock from before the fork until the id is known, so that reap cannot meet a
// program that ends at once before it is in the map.
func (s *supervisor) start(p program) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, err := exec.LookPath(p.Argv[0])
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(s.logs, p.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	pid, err := syscall.ForkExec(path, p.Argv, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	s.running[pid] = p
	return nil
}

// reap waits for every child, the orphans that a process 1 inherits among them.
func (s *supervisor) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err != nil {
			// EINTR, or no child at all until the next start.
			time.Sleep(restartAfter)
			continue
		}
		s.mu.Lock()
		p, ours := s.running[pid]
		delete(s.running, pid)
		s.mu.Unlock()
		if ours {
			fmt.Fprintf(os.Stderr, "node: %s ended (%s), starting it again\n", p.Name, describe(status))
			time.AfterFunc(restartAfter, func() { s.restart(p) })
		}
	}
}

func (s *supervisor) restart(p program) {
	if err := s.start(p); err != nil {
		fmt.Fprintf(os.Stderr, "node: %s: %v\n", p.Name, err)
		time.AfterFunc(restartAfter, func() { s.restart(p) })
	}
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "signal " + status.Signal().String()
	}
	return fmt.Sprintf("status %d", status.ExitStatus())
}
