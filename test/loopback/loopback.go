// Package loopback has addresses for listeners whose ports are fixed.
package loopback

import (
	"fmt"
	"os"
)

// Address is the nth (1 to 254) of a loopback network of this process alone: other tests, and other copies of the same, listen on
// the same ports at the same time.
func Address(n int) string {
	return fmt.Sprintf("127.%d.%d.%d", 128|os.Getpid()>>8&127, os.Getpid()&255, n)
}
