"""What the site needs beyond Sphinx: pages that are made of the package itself, links, math."""
