package contract

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// The sentinels that the [*Violation] of a request wraps.
var (
	// ErrInvalid means that a parameter or a body breaks a rule of the document.
	ErrInvalid = errors.New("bad request")
	// ErrTooLarge means that a body has more bytes than it may have.
	ErrTooLarge = errors.New("request entity too large")
	// ErrMediaType means that a body has a media type or an encoding that the operation does not
	// take.
	ErrMediaType = errors.New("unsupported media type")
)

// The places in which a rule can be broken, besides those of parameters: path, query, header and
// cookie.
const (
	inBody     = "body"
	inResponse = "response"
	inValue    = "value"
)

// Violation says what breaks which rule of the document. It wraps a sentinel if it is in a request.
type Violation struct {
	In        string // "path", "query", "header", "cookie", "body", "response" or "value"
	Parameter string // the name of the parameter; "" if it is none
	Pointer   string // JSON pointer (RFC 6901) into the JSON; "" for all of it
	Rule      string // the rule by its keyword in the document, such as "pattern"
	Reason    string // why, in words, without the value

	sentinel  error
	malformed bool   // the JSON cannot be read, or not in only one way
	whole     string // what the value is called, with a colon, if the pointer is ""
}

// InvalidQuery returns a violation, which wraps ErrInvalid, of a rule that the document can say of a
// query parameter only in words.
func InvalidQuery(parameter, rule, reason string) *Violation {
	return &Violation{
		In:        openapi3.ParameterInQuery,
		Parameter: parameter,
		Rule:      rule,
		Reason:    reason,
		sentinel:  ErrInvalid,
	}
}

// Error returns a sentence that names the place and the rule.
func (v *Violation) Error() string {
	switch v.In {
	case inBody:
		return fmt.Sprintf("the body breaks the rule %q%s: %s", v.Rule, v.at(), v.Reason)
	case inResponse:
		return fmt.Sprintf("the response breaks the contract: %s%s", v.field(), v.Reason)
	case inValue:
		if v.malformed {
			return v.Reason
		}
		return fmt.Sprintf("%sbreaks the rule %q: %s", cmp.Or(v.field(), v.whole), v.Rule, v.Reason)
	}
	return fmt.Sprintf("%s parameter %q breaks the rule %q: %s", v.In, v.Parameter, v.Rule, v.Reason)
}

// at returns the pointer after a preposition, or "" for all of the body.
func (v *Violation) at() string {
	if v.Pointer == "" {
		return ""
	}
	return " at " + v.Pointer
}

// field returns the pointer as people write fields: "data.id: ".
func (v *Violation) field() string {
	if v.Pointer == "" {
		return ""
	}
	return unescapePointer.Replace(strings.ReplaceAll(v.Pointer[1:], "/", ".")) + ": "
}

// Unwrap returns the sentinel, or nil.
func (v *Violation) Unwrap() error { return v.sentinel }

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

// explain turns an error of kin-openapi about a value into words. An allOf says nothing by itself:
// what it says is in its origin.
func explain(err error) *Violation {
	v := &Violation{Rule: "type", Reason: err.Error()}
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

// in returns the violation with its place.
func (v *Violation) in(place string) *Violation {
	v.In = place
	if place != inResponse && place != inValue {
		v.sentinel = ErrInvalid
	}
	return v
}
