// Command serve serves the baseline for benchmarks on a free port of 127.0.0.1, and prints the URL.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/jobruns/jobruns/e2e/baseline"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: serve RUNS.jsonl SECRET")
	}
	file, err := os.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	handler, err := baseline.New(file, os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, handler))
}
