"""HTTP commands become events; retries are carried out here, once per job and round."""
