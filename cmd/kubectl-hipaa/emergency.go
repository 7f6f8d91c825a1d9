package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

const emergencyHelp = `Ask to be let into the running pods of a tenant, or let somebody else in, 45 CFR 164.312(a)(2)(ii).

One person asks, another one, an approver of the tenant's profile, agrees, and the access ends by itself. Who asked and who
agreed is what the API server says of the users; no flag names them.`

func emergency() *cobra.Command {
	c := &cobra.Command{Use: "emergency", Short: "Ask for, approve, list and end emergency access", Long: emergencyHelp}
	c.AddCommand(emergencyRequest(), emergencyApprove(), emergencyList(), emergencyEnd())
	return c
}

type emergencyOptions struct {
	connection
	name, role, reason, output string
	duration, wait             time.Duration
}

func emergencyRequest() *cobra.Command {
	var o emergencyOptions
	c := &cobra.Command{
		Use:   "request TENANT",
		Short: "Ask to be let into a tenant's pods",
		Long: `Ask to be let into a tenant's pods. Prints the name to hand to an approver.

With --wait it stays until you are let in. Exit codes: 0, asked (with --wait: let in); 1, not asked; 2, with --wait: denied, or
not let in by then.`,
		Example: `  kubectl hipaa emergency request acme-health --reason "INC-4711 claims queue stuck" --wait 30m`,
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return o.request(c, args[0]) },
	}
	o.flags(c)
	f := c.Flags()
	f.StringVar(&o.name, "name", "", "name of the EmergencyAccess (default made from the tenant's)")
	f.StringVar(&o.role, "role", "Operator", "Developer, Operator or Auditor")
	f.StringVar(&o.reason, "reason", "", "why, for the record; 8 to 1024 characters")
	f.DurationVar(&o.duration, "duration", time.Hour, "how long, from the approval")
	f.DurationVar(&o.wait, "wait", 0, "stay until let in, at most this long")
	return c
}

func (o *emergencyOptions) request(c *cobra.Command, tenant string) error {
	if o.reason == "" {
		return errors.New(`expected --reason, such as --reason "INC-4711 claims queue stuck"`)
	}
	if o.duration%time.Second != 0 {
		return fmt.Errorf("expected --duration in whole seconds, found %s", o.duration)
	}
	k, err := o.client()
	if err != nil {
		return err
	}
	e := &v1alpha1.EmergencyAccess{
		ObjectMeta: metav1.ObjectMeta{Name: o.name},
		Spec: v1alpha1.EmergencyAccessSpec{
			Tenant: v1alpha1.Name(tenant), Role: v1alpha1.Role(o.role), Reason: o.reason,
			Duration: v1alpha1.Duration(fmt.Sprintf("%ds", int64(o.duration.Seconds()))),
		},
	}
	if o.name == "" {
		e.GenerateName = tenant + "-"
	}
	ctx := contextOf(c)
	if err := k.Create(ctx, e); err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "%s\n", e.Name)
	fmt.Fprintf(c.ErrOrStderr(), "asked; an approver runs: kubectl hipaa emergency approve %s\n", e.Name)
	if o.wait == 0 {
		return nil
	}
	return o.await(ctx, c.ErrOrStderr(), k, e.Name)
}

// await watches until the access is granted, or never will be.
func (o *emergencyOptions) await(ctx context.Context, progress io.Writer, k client.WithWatch, name string) error {
	ctx, cancel := context.WithTimeout(ctx, o.wait)
	defer cancel()
	w, err := k.Watch(ctx, &v1alpha1.EmergencyAccessList{}, &client.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name)})
	if err != nil {
		return exit{2, err}
	}
	defer w.Stop()
	last := ""
	for event := range w.ResultChan() {
		e, ok := event.Object.(*v1alpha1.EmergencyAccess)
		if !ok || event.Type == watch.Deleted {
			return exit{2, fmt.Errorf("EmergencyAccess %s is no longer there", name)}
		}
		active := meta.FindStatusCondition(e.Status.Conditions, v1alpha1.ConditionActive)
		if active == nil {
			continue
		}
		if active.Message != last {
			last = active.Message
			fmt.Fprintf(progress, "%s: %s\n", active.Reason, active.Message)
		}
		if active.Status == metav1.ConditionTrue {
			return nil
		}
		if e.Status.EndedAt != nil {
			return exit{2, fmt.Errorf("%s: %s", active.Reason, active.Message)}
		}
	}
	return exit{2, fmt.Errorf("not let in within %s; the request stands: kubectl get emergencyaccess %s", o.wait, name)}
}

func emergencyApprove() *cobra.Command {
	c := onAccess(func(c *cobra.Command, k client.Client, e *v1alpha1.EmergencyAccess) error {
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"true"}}}`, v1alpha1.AnnotationApprove)
		if err := k.Patch(contextOf(c), e, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "approved: %s may enter tenant %s as %s for %s, once the operator agrees; kubectl hipaa emergency end %s takes it back\n",
			e.Annotations[v1alpha1.AnnotationRequestedBy], e.Spec.Tenant, e.Spec.Role, e.Spec.Duration, e.Name)
		return nil
	})
	c.Use, c.Short = "approve NAME", "Let in who asked"
	c.Long = "Let in who asked. You are recorded as the approver, and cannot be the one who asked."
	return c
}

func emergencyEnd() *cobra.Command {
	c := onAccess(func(c *cobra.Command, k client.Client, e *v1alpha1.EmergencyAccess) error {
		if err := k.Delete(contextOf(c), e); err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), "ended: a session that is open inside a pod goes on until it is closed")
		return nil
	})
	c.Use, c.Short = "end NAME", "Take an access back before its time"
	return c
}

// onAccess does something to the one access that is named.
func onAccess(do func(*cobra.Command, client.Client, *v1alpha1.EmergencyAccess) error) *cobra.Command {
	var o connection
	c := &cobra.Command{
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := o.client()
			if err != nil {
				return err
			}
			return do(c, k, &v1alpha1.EmergencyAccess{ObjectMeta: metav1.ObjectMeta{Name: args[0]}})
		},
	}
	o.flags(c)
	return c
}

func emergencyList() *cobra.Command {
	var o emergencyOptions
	c := &cobra.Command{
		Use:   "list [TENANT]",
		Short: "Who asked, who agreed, until when",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if o.output != "" && o.output != "json" {
				return errors.New("expected -o json, or no -o for a table")
			}
			k, err := o.client()
			if err != nil {
				return err
			}
			var list v1alpha1.EmergencyAccessList
			if err := k.List(contextOf(c), &list); err != nil {
				return err
			}
			if len(args) > 0 {
				list.Items = slices.DeleteFunc(list.Items, func(e v1alpha1.EmergencyAccess) bool { return string(e.Spec.Tenant) != args[0] })
			}
			slices.SortFunc(list.Items, func(a, b v1alpha1.EmergencyAccess) int {
				return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
			})
			return showAccesses(c.OutOrStdout(), list.Items, o.output)
		},
	}
	o.flags(c)
	c.Flags().StringVarP(&o.output, "output", "o", "", "json: print JSON")
	return c
}

// showAccesses prints them, newest first.
func showAccesses(w io.Writer, list []v1alpha1.EmergencyAccess, output string) error {
	if output == "json" {
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		return out.Encode(list)
	}
	table := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	fmt.Fprintln(table, "NAME\tTENANT\tROLE\tREQUESTER\tAPPROVER\tSTATE\tUNTIL\tREASON")
	for i := range list {
		e := &list[i]
		state, until := "", ""
		if active := meta.FindStatusCondition(e.Status.Conditions, v1alpha1.ConditionActive); active != nil {
			state = active.Reason
		}
		if e.Status.ExpiresAt != nil {
			until = e.Status.ExpiresAt.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Name, e.Spec.Tenant, e.Spec.Role,
			e.Annotations[v1alpha1.AnnotationRequestedBy], e.Annotations[v1alpha1.AnnotationApprovedBy], state, until, oneLine(e.Spec.Reason))
	}
	return table.Flush()
}

// oneLine keeps what somebody wrote from being taken for further rows, or for orders to the terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

// contextOf is the command's context; tests run commands without one.
func contextOf(c *cobra.Command) context.Context {
	return cmp.Or(c.Context(), context.Background())
}
