// panics HOW: waits for a line, then panics as it is told.
package main

import (
	"errors"
	"fmt"
	"os"
)

func fail(how string) {
	var nobody *struct{ name string }
	switch how {
	case "nil":
		fmt.Println(nobody.name)
	case "exit":
		os.Exit(4)
	case "map":
		writeTogether()
	default:
		panic(errors.New("an error of 7"))
	}
}

// The runtime ends a program that does this, as soon as it sees it.
func writeTogether() {
	numbers := map[int]int{}
	for i := 0; i < 8; i++ {
		go func() {
			for {
				numbers[1]++
			}
		}()
	}
	select {}
}

func recovered() {
	defer func() { recover() }()
	fail("panic")
}

func main() {
	fmt.Println("ready")
	os.Stdin.Read(make([]byte, 1))
	switch how := os.Args[1]; how {
	case "recovered":
		recovered()
		os.Exit(3)
	case "goroutine":
		go fail("panic")
		select {}
	default:
		fail(how)
	}
}
