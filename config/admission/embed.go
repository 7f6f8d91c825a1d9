// Package admission carries the admission policies, one YAML file each: a policy and its one binding, or two, where one
// changes requests and the other refuses them. They are CEL, take no parameters, and are fed by the facts on the namespace,
// so any number of tenants is served by the same few policies.
//
// The files name the operator's identity literally; internal/admission replaces it where the operator runs under another
// one. They state every field the API server would default, so that a live policy can be compared with the file.
package admission

import "embed"

// Files are the policies, <name>.yaml each.
//
//go:embed *.yaml
var Files embed.FS

// Guard is the policy that keeps the others standing. Only an API server's disk can hold it, so it is not one of Files.
//
//go:embed static/guard.yaml
var Guard []byte
