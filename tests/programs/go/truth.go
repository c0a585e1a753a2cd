package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// truth prints what the runtime's own frames say of the panic that it is called in, and ends the process. Go prints no frame of
// its runtime below a panic, and calls every instance of a generic function the same.
func truth() {
	if os.Getenv("TRUTH") == "" {
		return
	}
	value := recover()
	if value == nil {
		return
	}
	counters := make([]uintptr, 64)
	frames := runtime.CallersFrames(counters[:runtime.Callers(0, counters)])
	calls := [][]any{}
	panicked := false
	for {
		frame, more := frames.Next()
		isRuntime := strings.HasPrefix(frame.Function, "runtime.")
		panicked = panicked || frame.Function == "runtime.gopanic"
		if panicked && !isRuntime {
			calls = append([][]any{{frame.File, frame.Line, frame.Function, nil}}, calls...)
		}
		if !more {
			break
		}
	}
	record := map[string]any{"errorType": "panic", "errorMessage": fmt.Sprint(value), "stackTrace": calls}
	if err, isError := value.(error); isError {
		record["errorMessage"] = err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(record)
	os.Exit(2)
}
