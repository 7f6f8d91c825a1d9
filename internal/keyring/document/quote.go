package document

import (
	"strings"
	"unicode"
)

// maxQuoted bounds foreign text in messages, in runes. Long enough for any KMS's reason, short enough that no
// answer can fill a status or a log.
const maxQuoted = 200

// Quote makes text of others fit for a message: one line, printable, at most 200 characters, in quotation marks.
func Quote(text string) string {
	var b strings.Builder
	n, space := 0, false
	for _, r := range text {
		if n >= maxQuoted {
			b.WriteString("...")
			break
		}
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			space = b.Len() > 0
			continue
		}
		if space {
			b.WriteByte(' ')
			n, space = n+1, false
		}
		if r == '"' {
			r = '\''
		}
		b.WriteRune(r)
		n++
	}
	return `"` + b.String() + `"`
}
