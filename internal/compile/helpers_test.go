package compile

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// refOf names an apply configuration as the inventory does.
func refOf(config any) v1alpha1.ObjectRef {
	text, err := json.Marshal(config)
	if err != nil {
		panic(fmt.Sprintf("an apply configuration that cannot be encoded: %v", err))
	}
	var object struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
		Metadata   struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(text, &object); err != nil {
		panic(fmt.Sprintf("an apply configuration that is no object: %v", err))
	}
	ref := v1alpha1.ObjectRef{Kind: object.Kind, Namespace: object.Metadata.Namespace, Name: object.Metadata.Name}
	if group, _, grouped := strings.Cut(object.APIVersion, "/"); grouped {
		ref.Kind += "." + group
	}
	return ref
}
