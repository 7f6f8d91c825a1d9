package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"
)

// Content types of bodies.
const (
	asJSON      = "application/json"
	asJSONPatch = "application/json-patch+json"
	asMerge     = "application/merge-patch+json"
	asStrategic = "application/strategic-merge-patch+json"
	asApply     = "application/apply-patch+yaml"
)

// request is one request to the API server.
type request struct {
	verb, path, contentType string
	query                   url.Values
	body                    []byte
	// as is whom the actor pretends to be.
	as string
}

// send makes a request and returns the object of the answer, if there is one.
func send(ctx context.Context, c *rest.RESTClient, r request) (*unstructured.Unstructured, error) {
	uri := r.path
	if len(r.query) > 0 {
		uri += "?" + r.query.Encode()
	}
	call := c.Verb(r.verb).RequestURI(uri)
	if r.as != "" {
		call = call.SetHeader("Impersonate-User", r.as)
	}
	if r.body != nil {
		call = call.SetHeader("Content-Type", r.contentType).Body(r.body)
	}
	result := call.Do(ctx)
	if err := result.Error(); err != nil { // with the words of the answer, which Raw leaves out
		return nil, err
	}
	text, err := result.Raw()
	answer := &unstructured.Unstructured{}
	if err != nil || json.Unmarshal(text, &answer.Object) != nil { // logs are not an object
		return nil, err
	}
	return answer, nil
}

func rawClient(config *rest.Config) (*rest.RESTClient, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion = &schema.GroupVersion{}
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	config.APIPath = "/"
	return rest.RESTClientFor(config)
}

// api knows what the API server serves.
type api struct {
	mapper meta.RESTMapper
	// writable are the subresources of a resource that take an object of its own kind, with their verbs.
	writable map[schema.GroupVersionResource]map[string][]string
}

func newAPI(config *rest.Config) (*api, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	groups, err := restmapper.GetAPIGroupResources(client)
	if err != nil {
		return nil, err
	}
	a := &api{mapper: restmapper.NewDiscoveryRESTMapper(groups), writable: map[schema.GroupVersionResource]map[string][]string{}}
	for _, g := range groups {
		for version, resources := range g.VersionedResources {
			kinds := map[string]string{}
			for _, r := range resources {
				kinds[r.Name] = r.Kind
			}
			for _, r := range resources {
				of, sub, is := strings.Cut(r.Name, "/")
				if !is || r.Kind != kinds[of] {
					continue
				}
				key := schema.GroupVersionResource{Group: g.Group.Name, Version: version, Resource: of}
				if a.writable[key] == nil {
					a.writable[key] = map[string][]string{}
				}
				a.writable[key][sub] = r.Verbs
			}
		}
	}
	return a, nil
}

func (a *api) mapping(o *unstructured.Unstructured) (*meta.RESTMapping, error) {
	gvk := o.GroupVersionKind()
	return a.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
}

// collection is the path of all objects of this kind beside o.
func (a *api) collection(o *unstructured.Unstructured) (string, error) {
	m, err := a.mapping(o)
	if err != nil {
		return "", err
	}
	path := "/apis/" + m.Resource.Group + "/" + m.Resource.Version
	if m.Resource.Group == "" {
		path = "/api/" + m.Resource.Version
	}
	if m.Scope.Name() == meta.RESTScopeNameNamespace {
		path += "/namespaces/" + o.GetNamespace()
	}
	return path + "/" + m.Resource.Resource, nil
}

// versions are the other versions o's kind is served in.
func (a *api) versions(o *unstructured.Unstructured) []string {
	mappings, err := a.mapper.RESTMappings(o.GroupVersionKind().GroupKind())
	if err != nil {
		return nil
	}
	var out []string
	for _, m := range mappings {
		if gv := m.GroupVersionKind.GroupVersion().String(); gv != o.GetAPIVersion() {
			out = append(out, gv)
		}
	}
	return out
}

// fill puts names in for the placeholders of a row's text.
func fill(text, name string) string {
	return strings.NewReplacer("NAMESPACE", attacked, "VICTIM", victim, "NAME", name).Replace(text)
}

// parse reads an object. What has neither name nor namespace gets the attempt's; kinds of the cluster keep the empty one.
func parse(text, name string) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(fill(text, name)), &o.Object); err != nil {
		return nil, fmt.Errorf("%w in %s", err, text)
	}
	if o.GetName() == "" && o.GetGenerateName() == "" {
		o.SetName(name)
	}
	return o, nil
}

// place is parse for objects that stand in the tenant's namespace unless they say otherwise.
func (a *api) place(text, name string) (*unstructured.Unstructured, error) {
	o, err := parse(text, name)
	if err != nil {
		return nil, err
	}
	m, err := a.mapping(o)
	if err != nil {
		return nil, err
	}
	if m.Scope.Name() == meta.RESTScopeNameNamespace && o.GetNamespace() == "" {
		o.SetNamespace(attacked)
	}
	return o, nil
}
