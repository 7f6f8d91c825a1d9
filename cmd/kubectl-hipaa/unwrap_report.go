package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset"
)

// keyReport is what is said of one entry: whether it opens, and never the key.
type keyReport struct {
	Namespace     string       `json:"namespace"`
	Tenant        string       `json:"tenant"`
	Name          string       `json:"name"`
	Version       int64        `json:"version"`
	State         keyset.State `json:"state"`
	Key           string       `json:"kmsKey"`
	KMSKeyVersion string       `json:"kmsKeyVersion"`
	CreatedAt     time.Time    `json:"createdAt"`
	Opens         bool         `json:"opens"`
	// Fingerprint of the data key; the same in all namespaces of a tenant.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Reason why it does not open.
	Reason string `json:"reason,omitempty"`
}

// report opens the wanted entries and prints what came of it.
func (o *unwrapOptions) report(ctx context.Context, c *cobra.Command, documents []keyset.Document, kms keyset.Unwrapper) error {
	reports, closed := []keyReport{}, 0
	for _, d := range documents {
		for _, e := range d.Entries {
			if o.name != "" && e.Name != o.name || o.version != 0 && e.Version != o.version {
				continue
			}
			r := try(ctx, d, e, kms)
			if !r.Opens {
				closed++
			}
			reports = append(reports, r)
		}
	}
	if len(reports) == 0 {
		return fmt.Errorf("no data key %s", o.wanted())
	}
	if err := o.print(c.OutOrStdout(), reports); err != nil {
		return err
	}
	if closed > 0 {
		return exit{code: 2, err: fmt.Errorf("%d of %d entries do not open", closed, len(reports))}
	}
	return nil
}

func (o *unwrapOptions) wanted() string {
	text := cmp.Or(o.name, "of any name")
	if o.version != 0 {
		text += fmt.Sprintf(" with version %d", o.version)
	}
	return text
}

func try(ctx context.Context, d keyset.Document, e keyset.Entry, kms keyset.Unwrapper) keyReport {
	r := keyReport{
		Namespace: d.Identity.Namespace, Tenant: d.Identity.Tenant, Name: e.Name, Version: e.Version, State: e.State,
		Key: e.Provider + "://" + e.KeyRef, KMSKeyVersion: e.KMSKeyVersion, CreatedAt: e.CreatedAt,
	}
	key, err := d.Unwrap(ctx, kms, e.Name, e.Version)
	defer clear(key)
	if err != nil {
		r.Reason = err.Error()
		return r
	}
	r.Opens, r.Fingerprint = true, fingerprint(key)
	return r
}

// fingerprint tells data keys apart and gives nothing of them away: the first bytes of a SHA-256 over the key and a label
// of its own.
func fingerprint(key []byte) string {
	h := sha256.New()
	h.Write([]byte("hipaatenant.dev/data-key-fingerprint/v1\x00"))
	h.Write(key)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func (o *unwrapOptions) print(out io.Writer, reports []keyReport) error {
	if o.output == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(map[string][]keyReport{"keys": reports})
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAMESPACE\tNAME\tVERSION\tSTATE\tKMS KEY\tOPENS\tFINGERPRINT")
	for _, r := range reports {
		opens, last := "yes", r.Fingerprint
		if !r.Opens {
			opens, last = "no", r.Reason
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", r.Namespace, r.Name, r.Version, r.State, r.Key, opens, last)
	}
	return w.Flush()
}

// revealKey prints one data key.
func (o *unwrapOptions) revealKey(ctx context.Context, c *cobra.Command, d keyset.Document, kms keyset.Unwrapper) error {
	if terminal(c.OutOrStdout()) && !o.force {
		return errors.New("a key on a terminal stays in its history: send the output to a program or a file, or add --force")
	}
	version := o.version
	for _, e := range d.Entries {
		if version == 0 && e.Name == o.name && e.State == keyset.Primary {
			version = e.Version
		}
	}
	key, err := d.Unwrap(ctx, kms, o.name, version)
	defer clear(key)
	if errors.Is(err, keyset.ErrNoKey) {
		return fmt.Errorf("no data key %s", o.wanted())
	}
	if err != nil {
		return exit{code: 2, err: err}
	}
	text := make([]byte, base64.StdEncoding.EncodedLen(len(key)), base64.StdEncoding.EncodedLen(len(key))+1)
	defer clear(text)
	base64.StdEncoding.Encode(text, key)
	fmt.Fprintf(c.ErrOrStderr(), "warning: this is data key %s version %d of tenant %s; it opens everything that was encrypted with it\n", o.name, version, d.Identity.Tenant)
	_, err = c.OutOrStdout().Write(append(text, '\n'))
	return err
}

// terminal tells whether somebody is looking.
func terminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
