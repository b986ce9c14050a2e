// Four threads panic and recover, each fifty times a second, until the input ends.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

func panicOnce() {
	defer func() { recover() }()
	panic(errors.New("order 7"))
}

func keepPanicking() {
	runtime.LockOSThread()
	for {
		panicOnce()
		time.Sleep(20 * time.Millisecond)
	}
}

func main() {
	for i := 0; i < 4; i++ {
		go keepPanicking()
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}
