// Waits for a line on stdin, then panics as its argument says.
package main

import (
	"errors"
	"fmt"
	"os"
)

type custom struct {
	code int
	text string
}

func (c custom) Error() string { return c.text }

func fail(how string) {
	var nobody *custom
	switch how {
	case "text":
		panic("a text")
	case "error":
		panic(errors.New("an error"))
	case "custom":
		panic(custom{3, "a custom one"})
	case "number":
		panic(-42)
	case "nil":
		fmt.Println(nobody.code)
	case "index":
		fmt.Println([]int{1, 2, 3}[len(how)])
	case "deep":
		deep(200000)
	case "deadlock":
		<-make(chan int)
	}
}

// The stack grows again and again, perhaps at the panic itself.
func deep(n int) int {
	if n == 0 {
		panic("deep")
	}
	return deep(n-1) + 1
}

func main() {
	fmt.Println("ready")
	os.Stdin.Read(make([]byte, 1))
	fail(os.Args[1])
}
