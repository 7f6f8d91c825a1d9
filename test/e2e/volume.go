package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// volume is a directory of the second node, and the tenant's claim to it.
func (w *world) volume() []client.Object {
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	term := corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
		{Key: corev1.LabelTopologyRegion, Operator: corev1.NodeSelectorOpIn, Values: []string{home}},
		{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{w.nodes[1].Name}},
	}}
	return []client.Object{
		&corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: "acme-records"},
			Spec: corev1.PersistentVolumeSpec{
				Capacity: size, AccessModes: modes, StorageClassName: storageClass, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
				PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: w.volumeDir()}},
				NodeAffinity:           &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term}}},
			},
		},
		&corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: acmeApp, Name: "records"},
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: modes, StorageClassName: new(storageClass), Resources: corev1.VolumeResourceRequirements{Requests: size},
			},
		},
	}
}

// unreadable says that a text lies in no file below a directory, neither as it is nor in base64, and returns how many bytes lie there:
// where there are none, nothing was kept.
func unreadable(dir, text string) (size int, err error) {
	files := os.DirFS(dir)
	err = fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		stored, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		size += len(stored)
		for _, one := range spellings(text) {
			if bytes.Contains(stored, []byte(one)) || strings.Contains(entry.Name(), one) {
				return fmt.Errorf("expected no plain text on the volume, found %q in %s", one, path)
			}
		}
		return nil
	})
	if err == nil && size == 0 {
		err = errors.New("expected something to be kept on the volume, found nothing")
	}
	return size, err
}

// spellings of a text: as it is, and in base64, where it looks different for each of three places it can begin at. What the bytes
// before and behind it have a part in is left out.
func spellings(text string) []string {
	all := []string{text}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for before := range 3 {
			whole := encoding.EncodeToString(append(make([]byte, before), text...))
			all = append(all, whole[(before*8+5)/6:(before+len(text))*8/6])
		}
	}
	return all
}
