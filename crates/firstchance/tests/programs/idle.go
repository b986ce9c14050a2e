// Goroutines that sleep, in a runtime with threads of its own.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
)

func wait(started *sync.WaitGroup, never chan int) {
	runtime.LockOSThread()
	started.Done()
	<-never
}

func main() {
	never := make(chan int)
	var started sync.WaitGroup
	for i := 0; i < 4; i++ {
		started.Add(1)
		go wait(&started, never)
	}
	started.Wait()
	fmt.Printf("ready %d\n", os.Getpid())
	// From its input it learns that the test has ended.
	os.Stdin.Read(make([]byte, 1))
}
