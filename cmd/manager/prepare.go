package main

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/awskms"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/azurekeyvault"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/gcpkms"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/kmsv2"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/local"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/vault"
)

// prepared is what the operator learns of itself and its cluster before it starts.
type prepared struct {
	identity   string
	clusterUID string
	keys       *keyring.Ring
	watches    kubernetes.Interface // for lists and watches of many objects
	objects    dynamic.Interface    // for those of optional APIs
}

// prepare asks the API server who the operator is, so that the admission policies exempt this identity and no other,
// and which cluster this is, so that keysets are bound to it.
func prepare(ctx context.Context, mgr manager.Manager, o options) (prepared, error) {
	api, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return prepared{}, err
	}
	self, err := api.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return prepared{}, fmt.Errorf("asking the API server who this is: %w", err)
	}
	system, err := api.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return prepared{}, fmt.Errorf("reading the UID of namespace %s, which identifies the cluster: %w", metav1.NamespaceSystem, err)
	}
	ring, err := providers(api, o)
	if err != nil {
		return prepared{}, err
	}
	config := rest.CopyConfig(mgr.GetConfig())
	config.AcceptContentTypes, config.ContentType = runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON, runtime.ContentTypeProtobuf
	watches, err := kubernetes.NewForConfigAndClient(config, mgr.GetHTTPClient())
	if err != nil {
		return prepared{}, err
	}
	objects, err := dynamic.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return prepared{}, err
	}
	return prepared{identity: self.Status.UserInfo.Username, clusterUID: string(system.UID), keys: ring, watches: watches, objects: objects}, nil
}

// providers are the key management systems keyURI may name: Vault where an address is given, plugins where a directory
// is, the others always; a cloud's costs nothing until a tenant's key is there. The profile decides which of them a
// tenant may use.
func providers(api kubernetes.Interface, o options) (*keyring.Ring, error) {
	now := clock.RealClock{}
	google, err := gcpkms.New(o.gcp)
	if err != nil {
		return nil, err
	}
	list := []keyring.Provider{local.New(local.NewSecrets(api, o.namespace), now), awskms.New(now),
		azurekeyvault.New(now, azurekeyvault.Options{}), google}
	if o.vault.Address != "" {
		p, err := vault.New(o.vault, now)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	if o.kmsPlugins != "" {
		p, err := kmsv2.New(o.kmsPlugins)
		if err != nil {
			return nil, fmt.Errorf("--kms-plugin-dir: %w", err)
		}
		list = append(list, p)
	}
	ring := keyring.New(now, list...)
	ring.Bound(o.concurrency / 4) // three quarters of the workers are left when one KMS does not answer
	return ring, nil
}
