package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/node"
)

// The application of the stories: config/samples/keyset-consumer.
const (
	app     = "keyset-consumer"
	appPort = 8080
	record  = "4711"
	secret  = "blood group 0 negative"
)

// runApp starts the application in its tenant, as a tenant's operator does, and has it keep a record.
func (w *world) runApp(ctx context.Context) (string, error) {
	began := time.Now()
	if err := w.deployApp(ctx); err != nil {
		return "", err
	}
	pod, err := w.appPod(ctx)
	if err != nil {
		return "", err
	}
	ready := time.Since(began)
	if _, err := w.shell(ctx, "kubectl -n acme-health-app get pods -o wide"); err != nil {
		return "", err
	}
	if err := w.governed(ctx, pod); err != nil {
		return "", err
	}
	if err := w.keep(ctx, pod); err != nil {
		return "", err
	}
	stored, err := unreadable(w.volumeDir(), secret)
	if err != nil {
		return "", err
	}
	figures := fmt.Sprintf("ready_after=%.1fs pod=%s on=%s stored_bytes=%d plaintext=no", ready.Seconds(), pod.Status.PodIP, pod.Spec.NodeName, stored)
	return figures, w.onlyItsOwn(ctx)
}

// governed says that a pod stands under pod security restricted, and has the config in force.
func (w *world) governed(ctx context.Context, pod *corev1.Pod) error {
	ns, err := w.api.CoreV1().Namespaces().Get(ctx, pod.Namespace, metav1.GetOptions{})
	if err != nil {
		return err
	}
	injected := pod.Spec.Containers[0].EnvFrom
	stamped := pod.Annotations[v1alpha1.AnnotationConfigHash]
	if level := ns.Labels["pod-security.kubernetes.io/enforce"]; level != "restricted" || len(injected) != 1 ||
		injected[0].ConfigMapRef.Name != v1alpha1.ConfigMapConfig || stamped == "" || stamped != ns.Annotations[v1alpha1.AnnotationConfigHash] {
		return fmt.Errorf("expected pod security restricted and the config in force, found %q, %+v, hash %q", level, injected, stamped)
	}
	return nil
}

// keep has the application keep a record, and give it back.
func (w *world) keep(ctx context.Context, pod *corev1.Pod) error {
	if _, err := w.request(ctx, pod, http.MethodPut, secret); err != nil {
		return err
	}
	return w.kept(ctx, pod)
}

// kept says that the application gives the record back.
func (w *world) kept(ctx context.Context, pod *corev1.Pod) error {
	text, err := w.request(ctx, pod, http.MethodGet, "")
	if err == nil && text != secret {
		err = fmt.Errorf("expected the record back, found %q", text)
	}
	return err
}

// request asks the application for the record, or to keep it, at its pod's address and from its node.
func (w *world) request(ctx context.Context, pod *corev1.Pod, method, body string) (string, error) {
	n, err := w.nodeOf(pod)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		return n.Dial(ctx, address)
	}}}
	url := fmt.Sprintf("http://%s/records/%s", net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(appPort)), record)
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s %s: %s: %s", method, url, response.Status, text)
	}
	return string(text), err
}

// nodeOf is where a pod runs.
func (w *world) nodeOf(pod *corev1.Pod) (*node.Node, error) {
	for _, n := range w.nodes {
		if n.Name == pod.Spec.NodeName {
			return n, nil
		}
	}
	return nil, fmt.Errorf("pod %s/%s runs on no node of this cluster, but on %q", pod.Namespace, pod.Name, pod.Spec.NodeName)
}

// onlyItsOwn shows that the application's identity opens nothing at Vault but its tenant's key.
func (w *world) onlyItsOwn(ctx context.Context) error {
	if err := w.vault.CreateKey(ctx, "transit", "somebody-else"); err != nil {
		return err
	}
	jwt, err := w.ask(ctx, "kubectl -n acme-health-app create token keyset-consumer --audience=vault --duration=10m")
	if err != nil {
		return err
	}
	token, err := w.vault.Login(ctx, "acme-health-app", strings.TrimSpace(jwt))
	if err != nil {
		return err
	}
	// Its own key is tried on what is no ciphertext of it.
	for key, want := range map[string]int{acme: http.StatusBadRequest, "somebody-else": http.StatusForbidden} {
		found, err := w.vault.Try(ctx, token, "transit/decrypt/"+key, map[string]any{"ciphertext": "vault:v1:AAAA", "context": "AAAA"})
		if err != nil {
			return err
		}
		if found != want {
			return fmt.Errorf("expected Vault to answer %d to the application's request with key %s, found %d", want, key, found)
		}
	}
	return nil
}

// volumeDir is where the volume of the application is on the machine.
func (w *world) volumeDir() string { return filepath.Join(w.Dir, "volume") }

// deployApp applies the sample with the image, Vault's address and certificate, and a volume, put in.
func (w *world) deployApp(ctx context.Context) error {
	if err := errors.Join(os.MkdirAll(w.volumeDir(), 0o700), os.Chmod(w.volumeDir(), 0o770)); err != nil {
		return err
	}
	ca, err := os.ReadFile(w.vault.CAFile)
	if err != nil {
		return err
	}
	objects := append(w.volume(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: acmeApp, Name: vaultCA}, Data: map[string]string{"ca.crt": string(ca)}})
	sample, err := os.ReadFile(filepath.Join(w.Root, "config", "samples", app, "deployment.yaml"))
	if err != nil {
		return err
	}
	account, deployment := &corev1.ServiceAccount{}, &appsv1.Deployment{}
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(sample), 4096)
	if err := errors.Join(decoder.Decode(account), decoder.Decode(deployment)); err != nil {
		return err
	}
	account.Namespace, deployment.Namespace = acmeApp, acmeApp
	w.adapt(&deployment.Spec.Template.Spec)
	for _, o := range append(objects, account, deployment) {
		if err := w.admin.Create(ctx, o); err != nil {
			return fmt.Errorf("create %T %s: %w", o, o.GetName(), err)
		}
	}
	return nil
}

// adapt puts in what the sample leaves to its users.
func (w *world) adapt(pod *corev1.PodSpec) {
	c := &pod.Containers[0]
	c.Image, c.ImagePullPolicy = appImage, corev1.PullNever
	for i := range c.Env {
		if c.Env[i].Name == "VAULT_ADDR" {
			c.Env[i].Value = w.vault.Address
		}
	}
	for i := range pod.Volumes {
		if pod.Volumes[i].Name == "records" {
			pod.Volumes[i].VolumeSource = corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "records"}}
		}
	}
}

// appPod waits until the application runs, and returns its pod.
func (w *world) appPod(ctx context.Context) (pod *corev1.Pod, err error) {
	err = await(ctx, time.Minute, func(ctx context.Context) error {
		var list corev1.PodList
		if err := w.admin.List(ctx, &list, client.InNamespace(acmeApp), client.MatchingLabels{"app": app}); err != nil {
			return err
		}
		if len(list.Items) != 1 {
			return fmt.Errorf("expected one pod of the application, found %d", len(list.Items))
		}
		pod = &list.Items[0]
		if isReady(pod) {
			return nil
		}
		return fmt.Errorf("it is not Ready: %s, %+v", pod.Status.Phase, pod.Status.ContainerStatuses)
	})
	return pod, err
}
