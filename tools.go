//go:build tools

package jobruns

import (
	_ "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen"
	_ "github.com/oasdiff/oasdiff"
	_ "golang.org/x/crypto/x509roots/fallback/bundle" // see .ci/roots.go
)
