"""What a person sees. A view shows observables and calls their methods; it decides nothing."""
