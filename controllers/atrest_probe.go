package controllers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	accore "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/atrest"
)

// Bounds of one look at all API servers.
const (
	lookTimeout    = time.Minute
	connectTimeout = 5 * time.Second
	requestTimeout = 15 * time.Second
	// triesPerServer are the connections made through the service address for each API server that runs, where they are
	// reached in no other way: a load balancer chooses for each connection.
	triesPerServer, mostTries = 6, 30
	// scrapesAfter a write, scrapePause apart: an API server answers a request a moment before it counts it.
	scrapesAfter, scrapePause = 4, 100 * time.Millisecond
)

// serverName is what every API server's certificate holds for.
const serverName = "kubernetes.default.svc"

// AtRestProbe writes a Secret to each API server, and reads in its metrics how it was stored.
type AtRestProbe struct {
	// Config of the connection to the API servers.
	Config *rest.Config
	// Namespace the Secret is written to.
	Namespace string
}

// observation is what one look at the API servers found.
type observation struct {
	servers []string // that run, by the hash of their identity
	samples []atrest.Sample
	trouble error // the last reason why one was not sampled
}

// look samples every API server: through the service address, then by the addresses in EndpointSlice default/kubernetes,
// then through the service address again until a load balancer has led to each.
func (p *AtRestProbe) look(ctx context.Context) (observation, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	api, done, err := p.connect("")
	if err != nil {
		return observation{}, err
	}
	defer done()
	leases, err := api.CoordinationV1().Leases(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{LabelSelector: atrest.LeaseSelector})
	if err != nil {
		return observation{}, fmt.Errorf("listing the Leases of API servers in namespace %s: %w", metav1.NamespaceSystem, err)
	}
	o := observation{servers: atrest.Servers(leases.Items)}
	addresses := append([]string{""}, p.addresses(ctx, api)...)
	for range min(mostTries, triesPerServer*len(o.servers)) {
		addresses = append(addresses, "")
	}
	for i, address := range addresses {
		if ctx.Err() != nil || (i > 0 && !atrest.Missing(o.servers, o.samples)) {
			break
		}
		sample, err := p.sample(ctx, address)
		switch {
		case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
			return o, err
		case err != nil:
			o.trouble = err
		default:
			o.samples = append(o.samples, sample)
		}
	}
	return o, nil
}

// addresses are those of the API servers themselves. Where they cannot be read the service address has to do.
func (p *AtRestProbe) addresses(ctx context.Context, api kubernetes.Interface) []string {
	slice, err := api.DiscoveryV1().EndpointSlices(metav1.NamespaceDefault).Get(ctx, "kubernetes", metav1.GetOptions{})
	if err != nil || p.Config.Insecure {
		return nil
	}
	return addressesOf(slice)
}

func addressesOf(slice *discoveryv1.EndpointSlice) []string {
	var list []string
	for _, port := range slice.Ports {
		if port.Port == nil || port.Name == nil || *port.Name != "https" {
			continue
		}
		for _, endpoint := range slice.Endpoints {
			for _, address := range endpoint.Addresses {
				list = append(list, net.JoinHostPort(address, strconv.Itoa(int(*port.Port))))
			}
		}
	}
	return list
}

// sample writes the canary between two scrapes, all on one connection, so that one API server answers them.
func (p *AtRestProbe) sample(ctx context.Context, address string) (atrest.Sample, error) {
	api, done, err := p.connect(address)
	if err != nil {
		return atrest.Sample{}, err
	}
	defer done()
	before, err := scrape(ctx, api)
	if err != nil {
		return atrest.Sample{}, err
	}
	if err := p.write(ctx, api); err != nil {
		return atrest.Sample{}, err
	}
	for attempt := 1; ; attempt++ {
		after, err := scrape(ctx, api)
		if err != nil {
			return atrest.Sample{}, err
		}
		sample, err := atrest.Compare(before, after)
		if !errors.Is(err, atrest.ErrNotSeen) || attempt == scrapesAfter {
			return sample, err
		}
		select {
		case <-ctx.Done():
			return atrest.Sample{}, ctx.Err()
		case <-time.After(scrapePause):
		}
	}
}

// scrape reads the metrics of the API server a connection leads to.
func scrape(ctx context.Context, api kubernetes.Interface) (atrest.Scrape, error) {
	answer, err := api.CoreV1().RESTClient().Get().AbsPath("/metrics").SetHeader("Accept", "text/plain").Stream(ctx)
	if err != nil {
		return atrest.Scrape{}, fmt.Errorf("reading /metrics of an API server: %w", err)
	}
	s, err := atrest.Read(answer)
	return s, errors.Join(err, answer.Close())
}

// write stores the canary with new content. A write that changes nothing is not stored, and one of a dry run neither.
func (p *AtRestProbe) write(ctx context.Context, api kubernetes.Interface) error {
	canary := accore.Secret(v1alpha1.SecretCanary, p.Namespace).
		WithLabels(map[string]string{v1alpha1.LabelManagedBy: v1alpha1.OperatorName}).
		WithType(corev1.SecretTypeOpaque).
		WithData(map[string][]byte{"canary": []byte(rand.Text())})
	_, err := api.CoreV1().Secrets(p.Namespace).Apply(ctx, canary, metav1.ApplyOptions{FieldManager: v1alpha1.OperatorName, Force: true})
	if err != nil {
		return fmt.Errorf("writing Secret %s/%s: %w", p.Namespace, v1alpha1.SecretCanary, err)
	}
	return nil
}

// connect opens a connection of its own: to the service address, or to one API server. The certificate of a server that is
// reached by address has to hold for the service, or no token is sent to it.
func (p *AtRestProbe) connect(address string) (api *kubernetes.Clientset, done func(), err error) {
	config := rest.CopyConfig(p.Config)
	config.QPS = -1
	config.ContentType, config.AcceptContentTypes = "", "" // JSON: no object of size is read
	if address != "" {
		config.Host, config.ServerName = "https://"+address, serverName
	}
	tls, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, nil, err
	}
	dial := net.Dialer{Timeout: connectTimeout}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dial.DialContext, TLSClientConfig: tls,
		TLSHandshakeTimeout: connectTimeout, ForceAttemptHTTP2: true, MaxConnsPerHost: 1,
	}
	authenticated, err := rest.HTTPWrappersForConfig(config, transport)
	if err != nil {
		return nil, nil, err
	}
	api, err = kubernetes.NewForConfigAndClient(config, &http.Client{Transport: authenticated, Timeout: requestTimeout})
	return api, transport.CloseIdleConnections, err
}
