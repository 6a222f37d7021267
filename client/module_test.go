package client_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// oldestGo is the older of the two newest releases of Go, which are those that get fixes.
const oldestGo = "1.26.0"

// callerModule makes a module that imports the client, and nothing else.
func callerModule(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	repository, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"go.sum": string(sums),
		"go.mod": fmt.Sprintf("module example.com/caller\n\ngo %s\n\nrequire github.com/jobruns/jobruns v0.0.0\n\n"+
			"replace github.com/jobruns/jobruns => %s\n", oldestGo, repository),
		"main.go": `package main

import (
	"context"
	"fmt"
	"os"

	"github.com/jobruns/jobruns/client"
)

func main() {
	c, err := client.New("http://127.0.0.1:8080", client.WithToken(os.Getenv("TOKEN")))
	if err != nil {
		panic(err)
	}
	run, _, err := c.GetJobRun(context.Background(), client.RunRef{Project: "p", Job: "j", Run: "r"})
	fmt.Println(run, err)
}
`,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// In a module of its own, the client brings few others along, and asks for no newer Go than callers
// can be expected to have.
func TestCallersModuleLinksFewOthers(t *testing.T) {
	folder := callerModule(t)
	goCommand := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("go", args...)
		cmd.Dir = folder
		// No other Go may take over.
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOTOOLCHAIN=local", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	goCommand("build", "-o", filepath.Join(folder, "caller"), ".")
	if got := strings.TrimSpace(goCommand("list", "-m", "-f", "{{.GoVersion}}")); got != oldestGo {
		t.Errorf("the client asks for Go %s, which is newer than %s", got, oldestGo)
	}
	var foreign []string
	for line := range strings.Lines(goCommand("version", "-m", "caller")) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "dep" && fields[1] != "github.com/jobruns/jobruns" {
			foreign = append(foreign, fields[1])
		}
	}
	want := []string{
		"github.com/apapsch/go-jsonmerge/v2", "github.com/google/uuid", "github.com/hashicorp/go-cleanhttp",
		"github.com/hashicorp/go-retryablehttp", "github.com/oapi-codegen/runtime",
	}
	if !slices.Equal(foreign, want) {
		t.Errorf("a caller links %q, want %q", foreign, want)
	}
}
