// Goroutines that sleep, in a runtime with threads of its own; the first counts lines.
package main

import (
	"bufio"
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
	fmt.Println("ready")
	// The end of its input tells that the test has ended.
	input := bufio.NewScanner(os.Stdin)
	for count := 0; input.Scan(); count++ {
		fmt.Println("pong", count)
	}
	close(never)
}
