package cluster_test

import (
	"bytes"
	"fmt"
	"os"

	authenticationv1 "k8s.io/api/authentication/v1"
)

func selfReview() *authenticationv1.SelfSubjectReview { return &authenticationv1.SelfSubjectReview{} }

// gone says whether a process has ended. One that only waits to be reaped counts as ended.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(stat, []byte(") Z "))
}
