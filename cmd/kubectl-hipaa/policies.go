package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
)

const policiesHelp = `Print the admission policies the operator enforces with, as YAML.

The operator applies them itself. Print them to review them, to let a pipeline apply them (then run the operator with
--admission-policies=verify), or to put them on the disks of the API servers, where no request can remove them.
Kubernetes 1.37 reads policies from the disk by default (ManifestBasedAdmissionControlConfig, KEP-5793); see docs/static-policies.md.

  --static guard        one policy that lets nobody but the operator write the policies in the API. Requests to other
                        kinds pay nothing for it
  --static validating   copies of the validating policies, enforced beside those in the API
  --static mutating     copies of the mutating policies, likewise; they need a directory of their own`

const policiesExample = `  # review
  kubectl hipaa policies | less
  # let nobody remove them, not even a cluster administrator
  kubectl hipaa policies --static guard > /etc/kubernetes/admission/validating/hipaa-guard.yaml`

const (
	staticGuard      = "guard"
	staticValidating = "validating"
	staticMutating   = "mutating"
)

type policyOptions struct {
	operator string
	owners   []string
	static   string
}

func policies() *cobra.Command {
	var o policyOptions
	c := &cobra.Command{
		Use:               "policies",
		Short:             "Print the admission policies",
		Long:              policiesHelp,
		Example:           policiesExample,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			objects, err := o.objects()
			if err != nil {
				return err
			}
			return write(c.OutOrStdout(), objects)
		},
	}
	forms := []string{staticGuard, staticValidating, staticMutating}
	c.Flags().StringVar(&o.operator, "operator", admission.DefaultIdentity, "user name the API server knows the operator by; the policies exempt it")
	c.Flags().StringVar(&o.static, "static", "", "print the form an API server reads from its disk: guard, validating or mutating")
	c.Flags().StringArrayVar(&o.owners, "owner", nil, "with --static guard: further user name that may write the policies, such as a pipeline's; may be repeated")
	if err := c.RegisterFlagCompletionFunc("static", cobra.FixedCompletions(forms, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // only for a flag that does not exist
	}
	return c
}

func (o policyOptions) objects() ([]admission.Object, error) {
	if len(o.owners) > 0 && o.static != staticGuard {
		return nil, errors.New("--owner says who may write the policies, which only --static guard restricts: add it, or leave --owner out")
	}
	if o.static == staticGuard {
		return admission.Guard(append([]string{o.operator}, o.owners...)...)
	}
	objects, err := admission.Load(o.operator)
	if err != nil {
		return nil, err
	}
	switch o.static {
	case "":
		return objects, nil
	case staticValidating, staticMutating:
		other := func(object admission.Object) bool {
			return admission.Validating(object) != (o.static == staticValidating)
		}
		return admission.Static(slices.DeleteFunc(objects, other)), nil
	}
	return nil, fmt.Errorf("expected --static guard, validating or mutating, found %q", o.static)
}

// write prints what a person would apply: the kind is there, what only a server writes is not.
func write(out io.Writer, objects []admission.Object) error {
	for i, object := range objects {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			return err
		}
		kind, err := apiutil.GVKForObject(object, scheme.Scheme)
		if err != nil {
			return err
		}
		delete(content, "status")
		u := unstructured.Unstructured{Object: content}
		u.SetGroupVersionKind(kind)
		text, err := yaml.Marshal(u.Object)
		if err != nil {
			return err
		}
		if i > 0 {
			text = append([]byte("---\n"), text...)
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
	}
	return nil
}
