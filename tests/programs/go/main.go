// Fails in the way that the first argument names, and says nothing of it but what Go prints. With TRUTH=1 in the environment it
// prints what runtime.CallersFrames says of the same failure, as JSON.
package main

import (
	"errors"
	"fmt"
	"os"
)

type Cart struct{ items []string }

func (cart *Cart) Item(index int) string { return cart.items[index] }

type OrderError struct{ Id string }

func (err *OrderError) Error() string { return "no order " + err.Id }

func find(rows map[string]*Cart, key string) string {
	return rows[key].Item(0)
}

func each[T any](values []T, call func(T)) {
	for _, value := range values {
		call(value)
	}
}

func worker(done chan<- bool) {
	defer truth()
	func() {
		panic("worker died")
	}()
	done <- true
}

func main() {
	defer truth()
	switch os.Args[1] {
	case "index":
		fmt.Println((&Cart{}).Item(5))
	case "nil":
		find(map[string]*Cart{}, "A-1")
	case "error":
		panic(fmt.Errorf("service unavailable: %w", &OrderError{"A-1"}))
	case "joined":
		panic(errors.Join(errors.New("one"), &OrderError{"größe 日本語"}))
	case "lines":
		panic("first line\n\ngoroutine 1 [running]:\nmain.looksLike()\n\t/not/real.go:1 +0x1")
	case "generic":
		each([]int{0}, func(value int) { fmt.Println(1 / value) })
	case "goroutine":
		done := make(chan bool)
		go worker(done)
		<-done
	}
}
