// Package jobruns is the module's root: the contract, openapi.yaml, and the lines that generate gen
// from it.
package jobruns

import _ "embed" // the contract

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config gen/model.yaml openapi.yaml
//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config gen/client.yaml openapi.yaml
//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config gen/server.yaml openapi.yaml
//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config gen/spec.yaml openapi.yaml

// Document is openapi.yaml, as it is written. What the server enforces is the copy in gen, in which
// everything is sorted by name.
//
//go:embed openapi.yaml
var Document []byte
