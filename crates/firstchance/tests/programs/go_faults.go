// A fault in a function without a frame, or one deep in a recursion without an end.
package main

import "os"

type order struct{ number, price int }

//go:noinline
func pay(o *order) int { return o.price + 1 }

//go:noinline
func checkout(n int) int {
	if n == 0 {
		return pay(nil)
	}
	return checkout(n-1) + 1
}

//go:noinline
func endless(n int) int { return endless(n+1) + n }

func main() {
	done := make(chan int)
	go func() {
		if os.Args[1] == "nil" {
			checkout(3)
		}
		done <- endless(0)
	}()
	<-done
}
