package main

import (
	"context"
	"os"

	"github.com/argoproj/argo-cd/v3/common"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/settings"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"
)

// namespace that Argo CD lives in.
const namespace = "argocd"

// resourceOverrides are the customizations of a manifest of ConfigMap argocd-cm, as Argo CD reads them.
func resourceOverrides(ctx context.Context, path string) (map[string]v1alpha1.ResourceOverride, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	cm := &corev1.ConfigMap{}
	if err := yaml.UnmarshalStrict(text, cm); err != nil {
		return nil, err
	}
	cm.Namespace = namespace
	if cm.Labels == nil {
		cm.Labels = map[string]string{}
	}
	cm.Labels["app.kubernetes.io/part-of"] = "argocd" // Argo CD's informer sees no other
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: common.ArgoCDSecretName, Namespace: namespace, Labels: cm.Labels}}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	return settings.NewSettingsManager(ctx, fake.NewClientset(cm, secret), namespace).GetResourceOverrides()
}
