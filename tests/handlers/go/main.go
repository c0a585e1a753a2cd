// A function that fails as its event asks it to.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"
	"unsafe"

	"github.com/aws/aws-lambda-go/lambda"
)

type event struct {
	Fail string `json:"fail"`
}

// OutOfStock is a failure of the function's own.
type OutOfStock struct{ sku string }

func (e *OutOfStock) Error() string { return "no stock for sku " + e.sku }

// brokenReader fails when it is asked again.
type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("I failed halfway!") }

func handler(_ context.Context, e event) (any, error) {
	switch e.Fail {
	case "exception":
		return nil, errors.New("I failed!")
	case "own":
		return nil, &OutOfStock{sku: "TA-404"}
	case "text":
		return nil, errors.New("größer als 東京\nzweite Zeile: 🚀")
	case "panic":
		return price(map[string]int{"TA-100": 1900}, nil), nil // mark: handler
	case "goroutine":
		go func() {
			panic("nobody recovers me") // mark: goroutine
		}()
		time.Sleep(time.Hour)
	case "exit":
		os.Exit(7)
	case "segv":
		return fault(), nil // mark: segv
	case "sleep":
		time.Sleep(time.Hour)
	case "streamed":
		return strings.NewReader(`{"ok":true}`), nil
	case "stream":
		return io.MultiReader(strings.NewReader(`{"ok":`), brokenReader{}), nil
	}
	return map[string]bool{"ok": true}, nil
}

//go:noinline
func price(prices map[string]int, order []string) int {
	return prices[order[0]] // mark: panic
}

// fault reads at an address that nobody has. At nil it would be a panic.
//
//go:noinline
func fault() byte {
	return *(*byte)(unsafe.Add(nil, 1<<40)) // mark: fault
}

func main() {
	if os.Getenv("_HANDLER") == "loading" {
		panic("no table is configured") // mark: loading
	}
	lambda.Start(handler) // mark: main
}
