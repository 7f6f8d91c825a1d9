// Package apply is the only writer of a tenant's children. It knows Kubernetes and nothing of HIPAA.
//
// Contract with the caller:
//   - The caller remembers every object, on the parent, before it asks Apply to write it; so what was written is never
//     forgotten, whenever the process dies.
//   - Apply writes wave by wave and stops behind the first wave that has an error. It writes by server-side apply with
//     one field owner and leaves alone what already stands exactly as wanted, so a quiet cluster sees no writes.
//   - Prune runs after a clean Apply. After any other it is asked for what only opens something, and only where deny-all
//     stands: a failure may last, and an agreement that ended must not wait for it. It deletes what is remembered, no
//     longer wanted, still carries the parent's label, and has the UID that was looked at. It never deletes a Namespace or
//     a Secret: data does not go by omission.
//
// "Exactly as wanted" is decided by a digest over the parts of an object that are the operator's by contract (package
// function Digest). The cache holds digests instead of bodies (Strip), which keeps memory flat and makes a restart
// cost no writes.
package apply
