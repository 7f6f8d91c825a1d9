package admission

// Find returns the object a problem is about; nil when it is not among objects.
func Find(objects []Object, p Problem) Object {
	for _, object := range objects {
		if key(object) == [2]string{p.Kind, p.Name} {
			return object
		}
	}
	return nil
}
