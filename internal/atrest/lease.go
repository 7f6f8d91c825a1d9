package atrest

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
)

// LeaseSelector finds the Leases in kube-system that API servers hold.
const LeaseSelector = "apiserver.kubernetes.io/identity=kube-apiserver"

// abandoned is how long before the latest renewal another Lease was last renewed, when its API server no longer counts as
// running. Each renews every 10 seconds, and the Lease of one that is gone stays for an hour.
const abandoned = 5 * time.Minute

// Servers are the hashes of the identities of the API servers that run, as the metrics tell them, sorted. Times are
// compared with each other alone: the clock of the operator may differ.
func Servers(leases []coordinationv1.Lease) []string {
	var latest time.Time
	for i := range leases {
		if renewed := leases[i].Spec.RenewTime; renewed != nil && renewed.After(latest) {
			latest = renewed.Time
		}
	}
	var servers []string
	for i := range leases {
		if renewed := leases[i].Spec.RenewTime; renewed != nil && latest.Sub(renewed.Time) < abandoned {
			servers = append(servers, fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(leases[i].Name))))
		}
	}
	slices.Sort(servers)
	return servers
}
