package controllers

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

func storageClass(name, provisioner string, parameters map[string]string) *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: provisioner, Parameters: parameters}
}

// TestStorageClassesAreJudged: as they are now, and none is an answer too.
func TestStorageClassesAreJudged(t *testing.T) {
	s := newStore(t, storageClass("gp3", "ebs.csi.aws.com", nil), storageClass("pd", "pd.csi.storage.gke.io", map[string]string{"disk-encryption-kms-key": "k"}))
	r := &StorageClassReconciler{Client: s, State: NewClusterState()}
	look := func() map[string]compile.VolumeEncryption {
		t.Helper()
		if _, err := r.Reconcile(t.Context(), ctrl.Request{}); err != nil {
			t.Fatal(err)
		}
		got := map[string]compile.VolumeEncryption{}
		for name, class := range r.State.StorageClasses() {
			got[name] = class.Encryption
		}
		return got
	}
	if diff := cmp.Diff(map[string]compile.VolumeEncryption{"gp3": compile.NotEncrypted, "pd": compile.CustomerKey}, look()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, name := range []string{"gp3", "pd"} {
		if err := s.Delete(t.Context(), storageClass(name, "", nil)); err != nil {
			t.Fatal(err)
		}
	}
	if got := look(); len(got) != 0 || r.State.StorageClasses() == nil {
		t.Errorf("classes %v, want none, known", got)
	}
	r = &StorageClassReconciler{Client: failingReader{errors.New("no informer")}, State: NewClusterState()}
	if _, err := r.Reconcile(t.Context(), ctrl.Request{}); err == nil || r.State.StorageClasses() != nil {
		t.Errorf("error %v, classes %v; want the error and nothing known", err, r.State.StorageClasses())
	}
}

// TestStrippedClassesAreJudgedAlike: what the cache drops makes no difference.
func TestStrippedClassesAreJudgedAlike(t *testing.T) {
	whole := storageClass("gp3", "ebs.csi.aws.com", map[string]string{"encrypted": "true", "kmsKeyId": "k"})
	whole.Annotations, whole.UID, whole.ResourceVersion = map[string]string{"note": "x"}, "u", "7"
	out, err := stripClass(whole)
	if err != nil {
		t.Fatal(err)
	}
	stripped := out.(*storagev1.StorageClass)
	if stripped.Annotations != nil || stripped.UID != "u" || stripped.ResourceVersion != "7" {
		t.Errorf("kept %v", stripped.ObjectMeta)
	}
	if diff := cmp.Diff(compile.JudgeStorageClass(whole), compile.JudgeStorageClass(stripped)); diff != "" {
		t.Errorf("(-whole +stripped):\n%s", diff)
	}
	if other, err := stripClass("x"); err != nil || other != "x" {
		t.Errorf("%v, %v; want what is no class untouched", other, err)
	}
}
