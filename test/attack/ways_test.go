package attack

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// way is one way to try an attack.
type way struct {
	name string
	// given stands before: the From of the row.
	given *unstructured.Unstructured
	// target is watched: it must be afterwards as it was before.
	target *unstructured.Unstructured
	// build makes the request, from what stands before.
	build func(live *unstructured.Unstructured) request
	// silent ways may succeed without any effect: what a subresource does not own, it drops.
	silent bool
	// also refuse this way, besides those of the row.
	also []refusal
	// template ways are judged by the pods that come of them.
	template bool
}

var dry = url.Values{"dryRun": {"All"}}

// ways derives every way to try an attack under a name of the attempt's own.
func (a Attack) ways(api *api, name string) ([]way, error) {
	var (
		ways []way
		err  error
	)
	switch {
	case a.Send != "":
		ways, err = a.request(api, name)
	case a.On != "":
		ways, err = a.onStanding(api, name)
	default:
		ways, err = a.onObject(api, name)
	}
	// What is judged by what becomes of it cannot be judged by a dry run.
	later := slices.ContainsFunc(a.By, func(r refusal) bool { return r.within > 0 || r.check != nil })
	return slices.DeleteFunc(ways, func(w way) bool {
		return later && strings.HasSuffix(w.name, ", dry run") ||
			slices.ContainsFunc(a.Without, func(prefix string) bool { return strings.HasPrefix(w.name, prefix) })
	}), err
}

// request is the one way of an attack that is a single request. On, if there is one, is watched.
func (a Attack) request(api *api, name string) ([]way, error) {
	w := way{name: "request", build: always(a.single(name))}
	var err error
	if a.On != "" {
		w.target, err = api.place(a.On, name)
	}
	return []way{w}, err
}

func (a Attack) single(name string) request {
	verb, path, _ := strings.Cut(fill(a.Send, name), " ")
	path, query, _ := strings.Cut(path, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		panic(err) // a mistake in the row
	}
	r := request{verb: verb, path: path, query: values, contentType: asJSON, as: fill(a.Impersonate, name)}
	if verb == "PATCH" {
		r.contentType = asMerge
	}
	if a.Body != "" {
		r.body = encode(fromYAML(fill(a.Body, name)))
	}
	return r
}

func (a Attack) onObject(api *api, name string) ([]way, error) {
	object, err := api.place(a.Object, name)
	if err != nil {
		return nil, err
	}
	label(object, name)
	ways, err := creations(api, object)
	if err != nil {
		return nil, err
	}
	if object.GetKind() == "Pod" {
		for _, template := range templates(object) {
			path, err := api.collection(template)
			if err != nil {
				return nil, err
			}
			ways = append(ways, way{name: "create as " + template.GetKind(), target: template, template: true,
				build: always(request{verb: "POST", path: path, contentType: asJSON, body: encode(template.Object)})})
		}
	}
	if a.From == "" {
		return ways, nil
	}
	from, err := api.place(a.From, name)
	if err != nil {
		return nil, err
	}
	label(from, name)
	changes, err := changes(api, from, func(live *unstructured.Unstructured) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: overlay(live.Object, from.Object, object.Object).(map[string]any)}
	})
	for i := range changes {
		changes[i].given = from
	}
	return append(ways, changes...), err
}

func (a Attack) onStanding(api *api, name string) ([]way, error) {
	target, err := api.place(a.On, name)
	if err != nil {
		return nil, err
	}
	if a.Patch == "" {
		return deletions(api, target)
	}
	patch := fromYAML(fill(a.Patch, name))
	return changes(api, target, func(live *unstructured.Unstructured) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: merged(live.Object, patch).(map[string]any)}
	})
}

// creations are the ways to bring an object into the world.
func creations(api *api, object *unstructured.Unstructured) ([]way, error) {
	path, err := api.collection(object)
	if err != nil {
		return nil, err
	}
	body, at := encode(object.Object), path+"/"+object.GetName()
	post := func(body []byte, query url.Values) request {
		return request{verb: "POST", path: path, query: query, contentType: asJSON, body: body}
	}
	apply := request{verb: "PATCH", path: at, query: url.Values{"fieldManager": {"attack"}, "force": {"true"}}, contentType: asApply, body: body}
	ways := []way{
		{name: "create", build: always(post(body, nil))},
		{name: "create, dry run", build: always(post(body, dry))},
		{name: "server-side apply", build: always(apply)},
		{name: "server-side apply, dry run", build: always(dryRun(apply))},
		// Some kinds come to be by an update; the others are not found.
		{name: "update into being", build: always(request{verb: "PUT", path: at, contentType: asJSON, body: body}), also: []refusal{absent()}},
	}
	generated := object.DeepCopy()
	generated.SetGenerateName(object.GetName() + "-")
	generated.SetName("")
	ways = append(ways, way{name: "create with a generated name", build: always(post(encode(generated.Object), nil))})
	for _, version := range api.versions(object) {
		older := object.DeepCopy()
		older.SetAPIVersion(version)
		path, err := api.collection(older)
		if err != nil {
			return nil, err
		}
		ways = append(ways, way{name: "create in " + version, build: always(
			request{verb: "POST", path: path, contentType: asJSON, body: encode(older.Object)})})
	}
	for i := range ways {
		ways[i].target = object
	}
	return ways, nil
}

// changes are the ways to make something else of an object that stands.
func changes(api *api, target *unstructured.Unstructured, harm func(*unstructured.Unstructured) *unstructured.Unstructured) ([]way, error) {
	collection, err := api.collection(target)
	if err != nil {
		return nil, err
	}
	mapping, err := api.mapping(target)
	if err != nil {
		return nil, err
	}
	at := collection + "/" + target.GetName()
	put := func(live *unstructured.Unstructured) request {
		return request{verb: "PUT", path: at, contentType: asJSON, body: encode(harm(live).Object)}
	}
	merge := func(live *unstructured.Unstructured) request {
		return request{verb: "PATCH", path: at, contentType: asMerge, body: encode(mergePatch(live.Object, harm(live).Object))}
	}
	ways := []way{
		{name: "update", build: put},
		{name: "JSON patch", build: func(live *unstructured.Unstructured) request {
			return request{verb: "PATCH", path: at, contentType: asJSONPatch, body: encode(jsonPatch("", live.Object, harm(live).Object))}
		}},
		{name: "merge patch", build: merge},
		{name: "strategic merge patch", build: func(live *unstructured.Unstructured) request {
			patch, ok := strategicPatch(live, harm(live))
			if !ok {
				return request{}
			}
			return request{verb: "PATCH", path: at, contentType: asStrategic, body: patch}
		}},
		{name: "server-side apply over it", build: func(live *unstructured.Unstructured) request { return applyOver(at, live, harm(live)) }},
	}
	for _, w := range slices.Clone(ways) {
		ways = append(ways, way{name: w.name + ", dry run", build: func(live *unstructured.Unstructured) request { return dryRun(w.build(live)) }})
	}
	subresources := api.writable[mapping.Resource]
	for _, sub := range slices.Sorted(maps.Keys(subresources)) {
		for _, verb := range subresources[sub] {
			build := map[string]func(*unstructured.Unstructured) request{"update": put, "patch": merge}[verb]
			if build == nil {
				continue
			}
			w := way{name: fmt.Sprintf("%s through %s", verb, sub), silent: true, build: func(live *unstructured.Unstructured) request {
				r := build(live)
				r.path += "/" + sub
				return r
			}}
			if sub == "ephemeralcontainers" { // closed altogether, whatever is sent
				w.also = []refusal{policy("workload")}
			}
			ways = append(ways, w)
		}
	}
	for i := range ways {
		ways[i].target = target
		ways[i].also = append(ways[i].also, immutable...)
	}
	return ways, nil
}

// immutable: much of a pod, a claim or a selector never changes. The API server says so before policies are asked.
var immutable = []refusal{validation("immutable"), validation("may not change fields"), validation("may not add or remove"), validation("updates to")}

// applyOver is the merge patch as a server-side apply; none when it takes something away.
func applyOver(at string, live, harm *unstructured.Unstructured) request {
	patch := mergePatch(live.Object, harm.Object)
	if takesAway(patch) {
		return request{}
	}
	body := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(patch)}
	body.SetAPIVersion(live.GetAPIVersion())
	body.SetKind(live.GetKind())
	body.SetName(live.GetName())
	return request{verb: "PATCH", path: at, query: url.Values{"fieldManager": {"attack"}, "force": {"true"}}, contentType: asApply, body: encode(body.Object)}
}

// deletions are the ways to get rid of an object.
func deletions(api *api, target *unstructured.Unstructured) ([]way, error) {
	collection, err := api.collection(target)
	if err != nil {
		return nil, err
	}
	at := collection + "/" + target.GetName()
	ways := []way{
		{name: "delete", build: always(request{verb: "DELETE", path: at})},
		{name: "delete, dry run", build: always(request{verb: "DELETE", path: at, query: dry})},
		{name: "delete in the foreground", build: always(request{verb: "DELETE", path: at, query: url.Values{"propagationPolicy": {"Foreground"}}})},
		// Of the whole collection, so that nothing of other attempts goes with it.
		{name: "delete the collection", build: always(request{verb: "DELETE", path: collection, query: url.Values{"fieldSelector": {"metadata.name=" + target.GetName()}}})},
	}
	for i := range ways {
		ways[i].target = target
	}
	if target.GetKind() == "Namespace" { // the API server has no such request
		ways[len(ways)-1].also = []refusal{absent()}
	}
	return ways, nil
}

func always(r request) func(*unstructured.Unstructured) request {
	return func(*unstructured.Unstructured) request { return r }
}

func dryRun(r request) request {
	query := url.Values{"dryRun": {"All"}}
	maps.Copy(query, r.query)
	r.query = query
	return r
}
