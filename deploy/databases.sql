-- One database for each service; customers is made by POSTGRES_DB.
create database vefa_interactions;
create database vefa_segmentation;
create database vefa_campaigns;
