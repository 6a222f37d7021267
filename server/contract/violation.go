package contract

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// ErrInvalid is the sentinel of a [*Violation] in a request.
var ErrInvalid = errors.New("bad request")

// The places of a violation, besides the places of parameters: a body, and a JSON text that
// [Schema.CheckJSON] checks.
const (
	inBody  = "body"
	inValue = "value"
)

// Violation describes what breaks which rule of the document. In a request, it wraps ErrInvalid.
type Violation struct {
	In        string // "path", "query", "header", "cookie", "body" or "value"
	Parameter string // the name of the parameter; "" in a body
	Pointer   string // JSON pointer (RFC 6901) into the JSON; "" for the whole value
	Rule      string // the rule by its keyword in the document, such as "pattern"
	Reason    string // why, in words, without the value
}

// InvalidQuery returns a violation, which wraps ErrInvalid, of a rule for a query parameter that the
// document states only in words.
func InvalidQuery(parameter, rule, reason string) *Violation {
	return &Violation{
		In:        openapi3.ParameterInQuery,
		Parameter: parameter,
		Rule:      rule,
		Reason:    reason,
	}
}

// Error returns a sentence that names the place and the rule.
func (v *Violation) Error() string {
	switch v.In {
	case inBody:
		return fmt.Sprintf("the body breaks the rule %q at %q: %s", v.Rule, v.Pointer, v.Reason)
	case inValue:
		return fmt.Sprintf("%s: breaks the rule %q: %s", v.Parameter+v.field(), v.Rule, v.Reason)
	}
	return fmt.Sprintf("%s parameter %q breaks the rule %q: %s", v.In, v.Parameter, v.Rule, v.Reason)
}

// field returns the pointer in the usual form of a field: "data.id".
func (v *Violation) field() string {
	if v.Pointer == "" {
		return ""
	}
	return unescapePointer.Replace(strings.ReplaceAll(v.Pointer[1:], "/", "."))
}

// Unwrap returns ErrInvalid for a violation in a request, and nil for one in a value.
func (v *Violation) Unwrap() error {
	if v.In == inValue {
		return nil
	}
	return ErrInvalid
}

// JSON pointers escape two characters (RFC 6901, section 3).
var (
	escapePointer   = strings.NewReplacer("~", "~0", "/", "~1")
	unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")
)

// pointer returns the JSON pointer of the keys.
func pointer(keys []string) string {
	var b strings.Builder
	for _, key := range keys {
		b.WriteString("/" + escapePointer.Replace(key))
	}
	return b.String()
}

// violationOf turns an error of kin-openapi about a value into words. The error of an allOf has no
// reason of its own: the reason is in its origin.
func violationOf(err error) *Violation {
	v := &Violation{Rule: "type", Reason: "the value is not valid"}
	var keys []string
	for broken := (*openapi3.SchemaError)(nil); errors.As(err, &broken); err = broken.Origin {
		if path := broken.JSONPointer(); len(path) > len(keys) {
			keys = path
		}
		v.Rule, v.Reason = cmp.Or(broken.SchemaField, v.Rule), broken.Reason
	}
	v.Pointer = pointer(keys)
	return v
}
