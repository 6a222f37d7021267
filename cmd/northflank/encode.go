package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// formats are the values of --output. Without one, the output is for people. Each is made of JSON,
// with the fields as they come and in their order. What a terminal would act upon is escaped.
var formats = map[string]func(sent json.RawMessage) ([]byte, error){"json": asJSON, "yaml": asYAML}

func isFormat(name string) bool { return name == "" || formats[name] != nil }

// A node is what JSON has: nil, a bool, a json.Number, a string, an object or an array.
type node any

type (
	object []member
	array  []node
	member struct {
		name  string
		value node
	}
)

// parse reads JSON. encoding/json alone does not tell the order of the fields.
func parse(sent json.RawMessage) (node, error) {
	dec := json.NewDecoder(bytes.NewReader(sent))
	dec.UseNumber()
	return parseNext(dec)
}

func parseNext(dec *json.Decoder) (node, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		made := object{}
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				return nil, err
			}
			value, err := parseNext(dec)
			if err != nil {
				return nil, err
			}
			made = append(made, member{name.(string), value}) // a token in this place is a string
		}
		_, err = dec.Token()
		return made, err
	case json.Delim('['):
		made := array{}
		for dec.More() {
			value, err := parseNext(dec)
			if err != nil {
				return nil, err
			}
			made = append(made, value)
		}
		_, err = dec.Token()
		return made, err
	}
	return token, nil
}

// asJSON is the form of the reference.
func asJSON(sent json.RawMessage) ([]byte, error) {
	made, err := parse(sent)
	if err != nil {
		return nil, err
	}
	var flat, indented bytes.Buffer
	writeJSON(&flat, made)
	flat.WriteByte('\n')
	err = json.Indent(&indented, flat.Bytes(), "", "  ")
	return indented.Bytes(), err
}

func writeJSON(b *bytes.Buffer, value node) {
	switch value := value.(type) {
	case object:
		b.WriteByte('{')
		for i, m := range value {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quoteJSON(m.name) + ":")
			writeJSON(b, m.value)
		}
		b.WriteByte('}')
	case array:
		b.WriteByte('[')
		for i, item := range value {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, item)
		}
		b.WriteByte(']')
	case string:
		b.WriteString(quoteJSON(value))
	default:
		b.WriteString(scalar(value))
	}
}

// quoteJSON is a JSON string in which everything that is not printable is escaped, unlike that of
// encoding/json, and nothing else.
func quoteJSON(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		short := strings.IndexRune("\"\\\n\r\t\b\f", r)
		switch {
		case short >= 0:
			b.WriteString(`\` + `"\nrtbf`[short:short+1])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			for _, unit := range utf16.Encode([]rune{r}) {
				hex := "000" + strconv.FormatUint(uint64(unit), 16)
				b.WriteString(`\u` + hex[len(hex)-4:])
			}
		}
	}
	b.WriteByte('"')
	return b.String()
}

func scalar(value node) string {
	switch value := value.(type) {
	case bool:
		return strconv.FormatBool(value)
	case json.Number:
		return value.String()
	}
	return "null"
}

// asYAML has the fields of the JSON form, in their order. Every string is in double quotes, because
// parsers of YAML 1.1 and 1.2 disagree about what the others are.
func asYAML(sent json.RawMessage) ([]byte, error) {
	made, err := parse(sent)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	writeYAML(&b, made, "", "")
	return b.Bytes(), nil
}

// writeYAML writes a value and a line end. The lead comes before a value that fits the line, and
// before the first member of an object in a list; what is in a list or an object is indented.
func writeYAML(b *bytes.Buffer, value node, lead, indent string) {
	switch value := value.(type) {
	case object:
		if len(value) == 0 {
			b.WriteString(lead + "{}\n")
			return
		}
		for i, m := range value {
			start := indent
			if i == 0 && lead != "" {
				start = lead
			}
			b.WriteString(start + yamlKey(m.name) + ":")
			writeYAMLBelow(b, m.value, indent)
		}
	case array:
		if len(value) == 0 {
			b.WriteString(lead + "[]\n")
			return
		}
		for i, item := range value {
			start := indent
			if i == 0 && lead != "" {
				start = lead
			}
			writeYAML(b, item, start+"- ", indent+"  ")
		}
	case string:
		b.WriteString(lead + strconv.Quote(value) + "\n") // YAML has all of Go's escapes
	case json.Number:
		b.WriteString(lead + yamlNumber(value.String()) + "\n")
	default:
		b.WriteString(lead + scalar(value) + "\n")
	}
}

// writeYAMLBelow writes the value of a key, whose line has begun.
func writeYAMLBelow(b *bytes.Buffer, value node, indent string) {
	switch value := value.(type) {
	case object:
		if len(value) > 0 {
			b.WriteByte('\n')
			writeYAML(b, value, "", indent+"  ")
			return
		}
	case array:
		if len(value) > 0 {
			b.WriteByte('\n')
			writeYAML(b, value, "", indent)
			return
		}
	}
	writeYAML(b, value, " ", indent)
}

var (
	plainKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// notStrings are plain words that are booleans or null in YAML 1.1 (https://yaml.org/type/bool.html).
	notStrings = []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
)

func yamlKey(name string) string {
	if plainKey.MatchString(name) && !slices.Contains(notStrings, strings.ToLower(name)) {
		return name
	}
	return strconv.Quote(name)
}

// yamlNumber writes 1e3 as 1.0e+3: the other is a string in YAML 1.1
// (https://yaml.org/type/float.html).
func yamlNumber(number string) string {
	mantissa, exponent, ok := strings.Cut(strings.ToLower(number), "e")
	if !ok {
		return number
	}
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	if exponent[0] != '-' && exponent[0] != '+' {
		exponent = "+" + exponent
	}
	return mantissa + "e" + exponent
}
