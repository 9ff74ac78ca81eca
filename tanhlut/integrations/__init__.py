"""The true mode inside other libraries: one module each, importing its library when it is itself imported."""
