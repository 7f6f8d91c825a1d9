package placement

import (
	"context"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

const (
	nodesPerRegion = 38
	// nodesNowhere have no region, as nodes of a cluster without a cloud have.
	nodesNowhere = 12
	nowhere      = "nowhere"
)

// Labels and taints of the nodes. What a label says beside the region proves nothing, and some say something wrong.
const (
	labelPool       = "pool"
	labelRank       = "rank"
	labelCompliance = "compliance"
	// labelFalseRegion names a region that the node is not in.
	labelFalseRegion = "example.com/region"

	poolGeneral = "general"
	poolFast    = "fast"  // tainted NoSchedule
	poolDrain   = "drain" // tainted NoExecute
	poolSmall   = "small" // where pods compete

	taintFast  = "dedicated"
	taintDrain = "drain"
)

// pool of the i-th node of a region: of twelve, one is fast, one drains; two in all are small.
func pool(i int) string {
	switch {
	case i == 2 || i == 3:
		return poolSmall
	case i%12 == 0:
		return poolFast
	case i%12 == 5:
		return poolDrain
	}
	return poolGeneral
}

// allNodes are the nodes that stay.
func allNodes() []cluster.Node {
	var nodes []cluster.Node
	for r, region := range regions {
		for i := range nodesPerRegion {
			nodes = append(nodes, node(hostOf(region, i), region, regions[(r+1+i%5)%len(regions)], i))
		}
	}
	for i := range nodesNowhere {
		nodes = append(nodes, node(hostOf(nowhere, i), "", regions[i%len(regions)], i))
	}
	return nodes
}

func node(name, region, falseRegion string, i int) cluster.Node {
	n := cluster.Node{Name: name, Region: region, Labels: map[string]string{
		labelPool: pool(i), labelRank: strconv.Itoa(i), labelFalseRegion: falseRegion,
	}}
	if i%2 == 0 {
		n.Labels[labelCompliance] = "hipaa"
	}
	if region != "" {
		n.Zone = zoneOf(region, i)
		if i%2 == 1 {
			n.ProviderID = "aws:///" + n.Zone + "/i-" + name
		}
	}
	switch pool(i) {
	case poolFast:
		n.Taints = []corev1.Taint{{Key: taintFast, Value: "yes", Effect: corev1.TaintEffectNoSchedule}}
	case poolDrain:
		n.Taints = []corev1.Taint{{Key: taintDrain, Value: "soon", Effect: corev1.TaintEffectNoExecute}}
	}
	return n
}

func hostOf(region string, i int) string { return fmt.Sprintf("%s-%02d", region, i) }

func zoneOf(region string, i int) string { return region + string("abc"[i%3]) }

// hostIn is a node of the region that stays, and that has room for every pod.
func hostIn(d draw, region string) string {
	for {
		if i := d.IntN(nodesPerRegion); pool(i) == poolGeneral {
			return hostOf(region, i)
		}
	}
}

// churn makes nodes come, close and go until ctx ends. It returns how many have gone while pods were placed.
func (w *world) churn(ctx context.Context, d draw) (gone int, err error) {
	var living []string
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return gone, nil
		case <-tick.C:
		}
		nodes := w.kube.CoreV1().Nodes()
		switch roll := d.IntN(3); {
		case roll == 0 || len(living) == 0:
			region := pick(d, regions)
			name := fmt.Sprintf("guest-%d", i)
			living = append(living, name)
			err = w.env.Cluster.AddNode(ctx, node(name, region, pick(d, regions), 4)) // 4: of the general pool
		case roll == 1:
			patch := fmt.Appendf(nil, `{"spec":{"unschedulable":%t}}`, d.IntN(2) == 0)
			_, err = nodes.Patch(ctx, pick(d, living), types.MergePatchType, patch, metav1.PatchOptions{})
		default:
			err = nodes.Delete(ctx, living[0], metav1.DeleteOptions{})
			living = living[1:]
			gone++
		}
		if err != nil && ctx.Err() == nil {
			return gone, err
		}
	}
}
