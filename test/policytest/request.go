package policytest

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// placeholder stands for the row's namespace in texts.
const placeholder = "NAMESPACE"

// Create posts the object in text, YAML in which NAMESPACE stands for the row's namespace.
func Create(text string) Request { return post(text) }

// DryRun posts it with dryRun=All.
func DryRun(text string) Request { return post(text, client.DryRunAll) }

func post(text string, options ...client.CreateOption) Request {
	return func(ctx context.Context, s *Session) error {
		object, err := s.Read(text)
		if err != nil {
			return err
		}
		return s.Client.Create(ctx, object, options...)
	}
}

// Apply is a server-side apply of the object in text, over the heads of other owners.
func Apply(text string) Request {
	return func(ctx context.Context, s *Session) error {
		object, err := s.Read(text)
		if err != nil {
			return err
		}
		return s.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("policytest"), client.ForceOwnership)
	}
}

// Update reads the object as admin, changes it, and puts it back, through the subresource if one is named. It starts again
// when a controller came between.
func Update[T client.Object](object T, change func(T), subresource ...string) Request {
	return func(ctx context.Context, s *Session) error {
		return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			fresh, err := s.fresh(ctx, object)
			if err != nil {
				return err
			}
			change(fresh.(T))
			if len(subresource) > 0 {
				return s.Client.SubResource(subresource[0]).Update(ctx, fresh)
			}
			return s.Client.Update(ctx, fresh)
		})
	}
}

// Patch sends this body; NAMESPACE in it stands for the row's namespace.
func Patch(object client.Object, kind types.PatchType, body string, subresource ...string) Request {
	return func(ctx context.Context, s *Session) error {
		patch := client.RawPatch(kind, []byte(strings.ReplaceAll(body, placeholder, s.Namespace)))
		target := s.place(object)
		if len(subresource) > 0 {
			return s.Client.SubResource(subresource[0]).Patch(ctx, target, patch)
		}
		return s.Client.Patch(ctx, target, patch)
	}
}

// Delete deletes the object.
func Delete(object client.Object) Request {
	return func(ctx context.Context, s *Session) error { return s.Client.Delete(ctx, s.place(object)) }
}

// DeleteAll deletes all objects of the kind in the namespace, in one request.
func DeleteAll(object client.Object) Request {
	return func(ctx context.Context, s *Session) error {
		return s.Client.DeleteAllOf(ctx, s.place(object), client.InNamespace(s.Namespace))
	}
}

// Post sends a body to a subresource of pods or another resource of the namespace, such as "pods/web/exec?command=ls".
func Post(path, body string) Request {
	return func(ctx context.Context, s *Session) error {
		kube, err := s.Kube()
		if err != nil {
			return err
		}
		uri := "/api/v1/namespaces/" + s.Namespace + "/" + path
		request := kube.CoreV1().RESTClient().Post().RequestURI(uri).SetHeader("Content-Type", "application/json")
		return request.Body([]byte(strings.ReplaceAll(body, placeholder, s.Namespace))).Do(ctx).Error()
	}
}

// Eventually repeats a request until it succeeds, for at most a minute.
func Eventually(what string, try Request) Request {
	return func(ctx context.Context, s *Session) error {
		return Await(ctx, what, func(ctx context.Context) error { return try(ctx, s) })
	}
}

// InOrder makes several requests and stops at the first that fails.
func InOrder(requests ...Request) Request {
	return func(ctx context.Context, s *Session) error {
		for _, request := range requests {
			if err := request(ctx, s); err != nil {
				return err
			}
		}
		return nil
	}
}

// As makes a request as another user than the row's.
func As(user User, request Request) Request {
	return func(ctx context.Context, s *Session) error {
		other, err := s.Env.session(ctx, user, s.Namespace)
		if err != nil {
			return err
		}
		return request(ctx, other)
	}
}

// Read parses YAML, puts the row's namespace in for NAMESPACE, and places the object in it.
func (s *Session) Read(text string) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(text, placeholder, s.Namespace)), &object.Object); err != nil {
		return nil, fmt.Errorf("%w in %s", err, text)
	}
	return s.place(object).(*unstructured.Unstructured), nil
}

// Get reads an object as admin.
func (s *Session) Get(ctx context.Context, object client.Object) error {
	object.SetNamespace(s.Namespace)
	return s.Env.Admin.Get(ctx, client.ObjectKeyFromObject(object), object)
}

// fresh is the object as the API server holds it.
func (s *Session) fresh(ctx context.Context, object client.Object) (client.Object, error) {
	target := s.place(object)
	return target, s.Env.Admin.Get(ctx, client.ObjectKeyFromObject(target), target)
}

// place puts a copy into the row's namespace; a Namespace without a name is the row's.
func (s *Session) place(object client.Object) client.Object {
	copied := object.DeepCopyObject().(client.Object)
	if namespace, ok := copied.(*corev1.Namespace); ok {
		if namespace.Name == "" {
			namespace.Name = s.Namespace
		}
		return copied
	}
	if namespaced, err := s.Env.Admin.IsObjectNamespaced(copied); err == nil && namespaced && copied.GetNamespace() == "" {
		copied.SetNamespace(s.Namespace)
	}
	return copied
}
