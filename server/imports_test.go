package server_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/jobruns/jobruns"

// internal says which packages of this module each package may import. Dependencies point one way:
// cmd -> server, client -> gen, and within server/ -> contract, auth, docs, page, listen -> jobrun
// -> gen/model.
var internal = map[string][]string{
	".":               {},
	"gen/model":       {},
	"gen/spec":        {},
	"gen/client":      {"gen/model"},
	"gen/server":      {"gen/model"},
	"client":          {"gen/client", "gen/model"},
	"server/jobrun":   {"gen/model"},
	"server/contract": {"gen/spec"},
	"server/auth":     {"server/jobrun"},
	"server/listen":   {"server/jobrun"},
	"server/asset":    {},
	"server/docs":     {".", "server/asset"},
	"server/page":     {"server/asset"},
	"server": {
		"gen/model",
		"gen/server",
		"server/auth",
		"server/contract",
		"server/docs",
		"server/jobrun",
		"server/listen",
		"server/page",
	},
	"server/store":             {"gen/model", "server/jobrun"},
	"server/store/sqlite":      {"gen/model", "server/jobrun", "server/store"},
	"server/store/postgres":    {"gen/model", "server/jobrun", "server/store"},
	"server/store/storetest":   {"gen/model", "gen/spec", "server/jobrun", "server/store"},
	"server/record/kubernetes": {"gen/model", "server/jobrun"},
	"server/record/jsonlines":  {"gen/model", "server/jobrun"},
	"cmd/internal/cli":         {"server/jobrun"},
	"cmd/internal/duration":    {},
	"cmd/internal/private":     {},
	"cmd/internal/man":         {},
	"cmd/internal/size":        {},
	"cmd/internal/version":     {},
	"cmd/jobrun": {
		"client",
		"cmd/internal/cli",
		"cmd/internal/duration",
		"cmd/internal/man",
		"cmd/internal/private",
		"cmd/internal/size",
		"cmd/internal/version",
		"gen/model",
		"server/jobrun",
	},
	"cmd/jobrund": {
		"cmd/internal/cli",
		"cmd/internal/duration",
		"cmd/internal/man",
		"cmd/internal/private",
		"cmd/internal/size",
		"cmd/internal/version",
		"server",
		"server/auth",
		"server/contract",
		"server/jobrun",
		"server/listen",
		"server/record/jsonlines",
		"server/record/kubernetes",
		"server/store",
		"server/store/postgres",
		"server/store/sqlite",
	},
	"cmd/northflank": {
		"client",
		"cmd/internal/duration",
		"cmd/internal/man",
		"cmd/internal/private",
		"cmd/internal/version",
	},
}

// foreign says which packages may import a library: one package, one outside thing.
var foreign = map[string][]string{
	"github.com/getkin/kin-openapi":         {"gen/spec", "server/contract"},
	"github.com/go-json-experiment/json":    {"server/contract"},
	"github.com/labstack/echo":              {"gen/server", "server"},
	"github.com/jackc/pgx":                  {"server/store/postgres"},
	"modernc.org/sqlite":                    {"server/store/sqlite"},
	"github.com/pressly/goose":              {"server/store/postgres", "server/store/sqlite"},
	"k8s.io/":                               {"cmd/jobrund", "server/record/kubernetes"},
	"github.com/VictoriaMetrics/fastcache":  {"server"},
	"github.com/swaggest/swgui":             {"server/docs"},
	"github.com/hashicorp/go-retryablehttp": {"client"},
	"go.opentelemetry.io/otel/exporters/":   {"cmd/jobrund"},
	"go.opentelemetry.io/contrib/":          {"server"},
	"github.com/oapi-codegen/runtime":       {"gen/client", "gen/server"},
	"github.com/hashicorp/golang-lru":       {"server/auth"},
	"charm.land/":                           {"cmd/northflank"},
	"github.com/spf13/cobra": {
		"cmd/internal/cli",
		"cmd/internal/man",
		"cmd/internal/version",
		"cmd/jobrun",
		"cmd/jobrund",
		"cmd/northflank",
	},
	"github.com/prometheus/client_golang": {"cmd/jobrund", "server", "server/listen", "server/record/kubernetes"},
}

const (
	echoLibrary, openAPILibrary         = "github.com/labstack/echo", "github.com/getkin/kin-openapi"
	sqliteLibrary, postgresLibrary      = "modernc.org/sqlite", "github.com/jackc/pgx"
	kubernetesLibrary, metricsLibrary   = "k8s.io/", "github.com/prometheus/"
	sqlPackage                          = "database/sql"
	tracingLibrary, documentationAssets = "go.opentelemetry.io/", "github.com/swaggest/"
	terminalLibrary                     = "charm.land/"
)

// neverLinked says which libraries must not be mustLink, by whatever way they come.
var neverLinked = map[string][]string{
	"server/jobrun":   {echoLibrary, openAPILibrary, sqlPackage},
	"server/contract": {echoLibrary, module + "/server/jobrun", module + "/gen/model"},
	"server/auth":     {echoLibrary, openAPILibrary},
	"server/listen":   {echoLibrary, openAPILibrary},
	"server/store":    {echoLibrary, openAPILibrary, sqliteLibrary, postgresLibrary},
	"server/record":   {echoLibrary, openAPILibrary, sqlPackage},
	"client": {
		echoLibrary,
		openAPILibrary,
		sqlPackage,
		metricsLibrary,
		tracingLibrary,
		documentationAssets,
		terminalLibrary,
	},
	"cmd/northflank": {echoLibrary, openAPILibrary, sqlPackage, metricsLibrary, tracingLibrary, documentationAssets},
	"cmd/jobrun": {
		echoLibrary,
		openAPILibrary,
		sqlPackage,
		sqliteLibrary,
		postgresLibrary,
		metricsLibrary,
		tracingLibrary,
		documentationAssets,
		kubernetesLibrary,
		terminalLibrary,
	},
}

// mustLink says which libraries a program must link.
var mustLink = map[string][]string{
	"cmd/jobrun":     {module + "/gen/client"},
	"cmd/jobrund":    {sqliteLibrary, postgresLibrary, echoLibrary, kubernetesLibrary},
	"cmd/northflank": {module + "/gen/client"},
}

type goPackage struct {
	ImportPath    string
	Imports, Deps []string
}

// packages returns those of this module without its tests, by their path within it.
func packages(t *testing.T) map[string]goPackage {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", "./...")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := map[string]goPackage{}
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if name := within(p.ImportPath); !strings.HasPrefix(name, "e2e") {
			all[name] = p
		}
	}
}

// within returns the path within this module, "." for the root, and the path itself for another
// module's.
func within(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

// isOf reports whether a package is one of the library. The package database/sql/driver, which has
// nothing but interfaces, is none of database/sql.
func isOf(path, library string) bool {
	return path == library || library != sqlPackage && strings.HasPrefix(path, library)
}

func TestImportsPointOneWay(t *testing.T) {
	for name, p := range packages(t) {
		may, known := internal[name]
		if !known {
			t.Errorf("%s is a new package: say here what it may import", name)
		}
		for _, imported := range p.Imports {
			if imported == module || strings.HasPrefix(imported, module+"/") {
				if !slices.Contains(may, within(imported)) {
					t.Errorf("%s imports %s", name, within(imported))
				}
				continue
			}
			for library, importers := range foreign {
				if isOf(imported, library) && !slices.Contains(importers, name) {
					t.Errorf("%s imports %s, which only %v may", name, imported, importers)
				}
			}
		}
	}
}

func TestProgramsLinkOnlyWhatTheyNeed(t *testing.T) {
	all := packages(t)
	for name, libraries := range mustLink {
		for _, library := range libraries {
			if !slices.ContainsFunc(all[name].Deps, func(dep string) bool { return isOf(dep, library) }) {
				t.Errorf("%s does not link %s", name, library)
			}
		}
	}
	for prefix, libraries := range neverLinked {
		found := false
		for name, p := range all {
			own := []string{"server/store/sqlite", "server/store/postgres", "server/store/storetest"}
			if name != prefix && !strings.HasPrefix(name, prefix+"/") || slices.Contains(own, name) {
				continue
			}
			found = true
			for _, dep := range p.Deps {
				if i := slices.IndexFunc(libraries, func(library string) bool { return isOf(dep, library) }); i >= 0 {
					t.Errorf("%s links %s", name, dep)
				}
			}
		}
		if !found {
			t.Errorf("there is no package %s", prefix)
		}
	}
}
