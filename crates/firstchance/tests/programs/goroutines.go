// Goroutines that wait in several ways, one that runs, and one in C. On SIGQUIT, Go tells where they are.
package main

/*
#include <unistd.h>
static int nap(int n) { while (n) sleep(1000); return n; }
*/
import "C"

import (
	"fmt"
	"os"
	"sync"
	"time"
)

var orders sync.Mutex

//go:noinline
func receive(c chan int) int { return <-c + 1 }

func inlined(n int) int {
	orders.Lock()
	return n
}

//go:noinline
func lock(n int) int { return inlined(n) + 1 }

//go:noinline
func spin() {
	for {
	}
}

//go:noinline
func inC() { C.nap(1) }

func main() {
	orders.Lock()
	never := make(chan int)
	for i := 0; i < 20; i++ {
		go func() { receive(never) }()
	}
	go lock(1)
	go spin()
	go inC()
	time.AfterFunc(300*time.Millisecond, func() { fmt.Println("ready", os.Getpid()) })
	select {
	case <-never:
	case <-time.After(time.Hour):
	}
}
