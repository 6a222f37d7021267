# What a person types. CONTRIBUTING says more: .github/CONTRIBUTING.md

GOLANGCI_LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# The race detector makes tests several times slower, and needs a C compiler.
RACE = $(if $(filter true,$(CI)),-race)
# Some tests mostly wait. Under the race detector, all of them need the processors.
PARALLEL = $(if $(RACE),,-p 4 -parallel 8)

.PHONY: build man install uninstall run test generate check e2e bench release image clean

## build: build the programs into bin/, for any machine of the same kind: no C library is needed
build:
	@.ci/build

## man: write the manual pages and the completions of shells into bin/
man:
	@mkdir -p bin/man bin/completions
	@for program in jobrun jobrund northflank; do \
		echo "man: writing the manual of $$program"; \
		go run -tags man ./cmd/$$program bin/man bin/completions || exit 1; \
	done

## install: install what the two targets above have built, into PREFIX (/usr/local); DESTDIR goes in front of all paths
install:
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' .ci/install

## uninstall: remove what install has installed, but neither /etc/jobrund.env nor the runs
uninstall:
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' .ci/install --remove

## run: build, and serve the API on http://127.0.0.1:8080, or at ADDR, with a first run in it
run:
	@ADDR='$(ADDR)' .ci/serve-locally

## test: every test that needs nothing but Go; with CI=true, under the race detector
test:
	go test $(RACE) $(PARALLEL) -timeout 10m ./...

## generate: write gen/ from openapi.yaml
generate:
	go generate ./...

## check: generated code, contract, format, vet, lint, modules, vulnerabilities
check:
	.ci/check-generated
	.ci/check-contract
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "check: not formatted, run gofmt -w: $$unformatted" >&2; exit 1; }
	go vet ./...
	go vet -tags e2e ./...
	$(GOLANGCI_LINT) run
	go mod tidy -diff
	.ci/check-vulnerabilities

## e2e: the tests that need Node.js, PostgreSQL, PgBouncer, Chromium or a cluster; installs or starts what is missing
e2e:
	.ci/e2e $(RACE) $(if $(RACE),,-parallel 4)

## bench: the benchmarks, in five rounds each; writes what compares to bin/bench.md. Installs what it needs where that is missing
bench:
	.ci/bench

## release: build archives, packages and a Homebrew formula of the commit that is checked out into dist/, with SBOMs
release:
	.ci/release

## image: build the container image of the commit that is checked out into dist/; needs root, and Debian's buildah
image:
	.ci/image

## clean: remove what the targets above leave behind, but not jobruns.db
clean:
	rm -rf bin dist
