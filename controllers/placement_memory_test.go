package controllers

import (
	"fmt"
	"runtime"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	kubefake "k8s.io/client-go/kubernetes/fake"
)

// bytesPerPod is what the watch may keep of one pod, its place in the indices included.
const bytesPerPod = 1000

// TestAPodTakesLittleMemory, because a cluster has many more of them than tenants.
func TestAPodTakesLittleMemory(t *testing.T) {
	const count = 50_000
	informer, err := watchPods(kubefake.NewClientset())
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	for i := range count {
		l, err := locatePod(&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: fmt.Sprintf("tenant-%05d", i/5), Name: fmt.Sprintf("portal-7c6d5b4f9-%05d", i), UID: types.UID(fmt.Sprintf("%08x-1bf0-4dda-aec3-cb9272f09590", i)),
				ResourceVersion: fmt.Sprint(i), OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Controller: new(true)}},
				Labels: map[string]string{"app": "portal"}, Annotations: map[string]string{"a": "b"},
			},
			Spec:   corev1.PodSpec{NodeName: fmt.Sprintf("ip-10-0-%d.ec2.internal", i%500), Containers: make([]corev1.Container, 2)},
			Status: corev1.PodStatus{Phase: corev1.PodRunning},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := informer.GetIndexer().Add(l); err != nil {
			t.Fatal(err)
		}
	}
	each := (heap() - before) / count
	t.Logf("%d bytes for each of %d pods in %d namespaces", each, count, count/5)
	if each > bytesPerPod {
		t.Errorf("a pod takes %d bytes, want at most %d", each, bytesPerPod)
	}
	runtime.KeepAlive(informer)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
